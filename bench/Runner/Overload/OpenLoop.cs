using System.Diagnostics;

using UPool.Bench.Runner.Statistics;

namespace UPool.Bench.Runner.Overload;

/// <summary>
/// Callers that come at their own pace, whether or not those before them were answered: what a service meets. Each
/// one's time counts from when it was to come, so that a late machine is not forgiven.
/// </summary>
internal sealed class OpenLoop
{
    private const byte Served = 1;
    private const byte Refused = 2;

    // Callers come in groups, one each millisecond: nothing sleeps for less.
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

    /// <summary>Lets callers come for a time, and waits until the last has its answer.</summary>
    /// <param name="work">What each does; false when it was refused.</param>
    /// <param name="perSecond">How many come.</param>
    /// <param name="length">For how long.</param>
    /// <exception cref="AggregateException">Some work failed.</exception>
    public static async Task<OpenLoopFigures> RunAsync(Func<Task<bool>> work, double perSecond, TimeSpan length)
    {
        var loop = new OpenLoop(work, perSecond, length);

        // A thread of its own: callers come on time while the pool's threads are busy.
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

        // Nobody of a kind: no time.
        static double At(double[] took, double share) => took.Length == 0 ? 0 : Sample.Quantile(took, share);
    }
}

/// <summary>What became of the callers.</summary>
/// <param name="Goodput">Served within the time in which callers came, a second.</param>
/// <param name="Refused">Refused, a second.</param>
/// <param name="ServedP50">The median time to be served, in milliseconds.</param>
/// <param name="ServedP99">The time that 99 % of the served were within, in milliseconds.</param>
/// <param name="RefusedP50">The median time to a refusal, in milliseconds.</param>
/// <param name="RefusedP99">The time that 99 % of the refusals were within, in milliseconds.</param>
internal readonly record struct OpenLoopFigures(
    double Goodput, double Refused, double ServedP50, double ServedP99, double RefusedP50, double RefusedP99);
