using System.Diagnostics;

using UPool.Bench.Runner.Statistics;

namespace UPool.Bench.Runner.Overload;

/// <summary>
/// Callers that arrive at a fixed rate, whether or not earlier ones have been answered, as in a real service. The time
/// of each counts from its scheduled arrival, so that delays of the load generator are included.
/// </summary>
internal sealed class OpenLoop
{
    private const byte Served = 1;
    private const byte Refused = 2;

    // Callers arrive in groups, one per millisecond: no sleep is shorter.
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(1);

    private readonly Func<Task<bool>> _work;
    private readonly double _perSecond;
    private readonly double[] _took;
    private readonly byte[] _outcomes;
    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TimeSpan _length;
    private long _startedAt;
    private int _left;
    private int _servedInTime;

    private OpenLoop(Func<Task<bool>> work, double perSecond, TimeSpan length)
    {
        _work = work;
        _perSecond = perSecond;
        _length = length;
        _left = (int)(perSecond * length.TotalSeconds);
        _took = new double[_left];
        _outcomes = new byte[_left];
    }

    /// <summary>Starts callers for a time and waits until the last one is answered.</summary>
    /// <param name="work">The work of each caller; false if it was refused.</param>
    /// <param name="perSecond">The callers per second.</param>
    /// <param name="length">How long callers arrive.</param>
    /// <exception cref="AggregateException">Some work failed.</exception>
    public static async Task<OpenLoopFigures> RunAsync(Func<Task<bool>> work, double perSecond, TimeSpan length)
    {
        var loop = new OpenLoop(work, perSecond, length);

        // Its own thread, so that callers start on time while the thread pool is busy.
        new Thread(loop.SendCallers) { IsBackground = true, Name = "callers" }.Start();
        await loop._done.Task;
        return loop.Figures();
    }

    private void SendCallers()
    {
        _startedAt = Stopwatch.GetTimestamp();
        for (int sent = 0; sent < _took.Length;)
        {
            int due = Math.Min(
                _took.Length, (int)(Stopwatch.GetElapsedTime(_startedAt).TotalSeconds * _perSecond) + 1);
            for (; sent < due; sent++)
            {
                ThreadPool.UnsafeQueueUserWorkItem(
                    static one => _ = one.Loop.CallAsync(one.Caller), (Loop: this, Caller: sent), preferLocal: false);
            }

            Thread.Sleep(Step);
        }
    }

    private async Task CallAsync(int caller)
    {
        try
        {
            bool isServed = await _work();
            double endedAfter = Stopwatch.GetElapsedTime(_startedAt).TotalMilliseconds;
            _took[caller] = endedAfter - (caller / _perSecond * 1000);
            _outcomes[caller] = isServed ? Served : Refused;
            if (isServed && endedAfter <= _length.TotalMilliseconds) Interlocked.Increment(ref _servedInTime);
        }
        catch (Exception exception)
        {
            _done.TrySetException(exception);
        }

        if (Interlocked.Decrement(ref _left) == 0) _done.TrySetResult();
    }

    private OpenLoopFigures Figures()
    {
        double[] served = [.. Of(Served)];
        double[] refused = [.. Of(Refused)];
        return new OpenLoopFigures(
            _servedInTime / _length.TotalSeconds, refused.Length / _length.TotalSeconds,
            At(served, 0.5), At(served, 0.99), At(refused, 0.5), At(refused, 0.99));

        IEnumerable<double> Of(byte outcome) => _took.Where((_, caller) => _outcomes[caller] == outcome);

        // Without a caller of a kind the time is 0.
        static double At(double[] took, double share) => took.Length == 0 ? 0 : Sample.Quantile(took, share);
    }
}

/// <summary>The outcomes of the callers.</summary>
/// <param name="Goodput">Callers served per second, while callers arrived.</param>
/// <param name="Refused">Callers refused per second.</param>
/// <param name="ServedP50">The median time to be served, in milliseconds.</param>
/// <param name="ServedP99">The 99th percentile of the time to be served, in milliseconds.</param>
/// <param name="RefusedP50">The median time to a refusal, in milliseconds.</param>
/// <param name="RefusedP99">The 99th percentile of the time to a refusal, in milliseconds.</param>
internal readonly record struct OpenLoopFigures(
    double Goodput, double Refused, double ServedP50, double ServedP99, double RefusedP50, double RefusedP99);
