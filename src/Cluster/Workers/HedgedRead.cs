using Microsoft.Extensions.Logging;

namespace UPool.Cluster.Workers;

/// <summary>One read of a client: asked, asked again when its silo is lost, and hedged while it is
/// unanswered.</summary>
/// <remarks>
/// <para>The idea of the hedge is that of Dean and Barroso, "The Tail at Scale" (CACM 56:2, 2013).</para>
/// <para>Moments are timestamps of the clock, which is read once where one reading does: a read that is answered by
/// the first silo costs one, and every read of the cluster passes here.</para>
/// </remarks>
/// <param name="grain">The worker.</param>
/// <param name="call">Asks it.</param>
/// <param name="deadline">When the answer is due in its silo; there is one.</param>
/// <param name="grace">How long after that an answer may still arrive.</param>
/// <param name="options">How often to ask.</param>
/// <param name="stopper">Stops the askings that nobody waits for any more.</param>
/// <param name="clock">The clock.</param>
/// <param name="logger">The log.</param>
internal sealed class HedgedRead<TGrain, T>(
    TGrain grain,
    Func<TGrain, Deadline, CancellationToken, Task<Reply<T>>> call,
    Deadline deadline,
    TimeSpan grace,
    WorkerClientOptions options,
    CallStopper stopper,
    TimeProvider clock,
    ILogger logger)
{
    private const long Never = long.MaxValue;

    private readonly long _due = deadline.Timestamp;
    private readonly long _end = deadline.Timestamp + HedgedRead.Ticks(grace, clock);

    // The askings under way, the latest first; nearly always one.
    private Asking? _unanswered;
    private int _unansweredCount;
    private int _retries;

    /// <summary>The first answer, or how the read failed, by the end at the latest.</summary>
    /// <param name="now">The present moment.</param>
    /// <param name="caller">Cancelled when the caller has gone.</param>
    public async Task<Reply<T>> RunAsync(long now, CancellationToken caller)
    {
        // Not linked to the caller's: whoever waits for the answers listens to that one already.
        using var ending = new CancellationTokenSource();
        try
        {
            long nextAsking = Ask(now, ending.Token);
            while (true)
            {
                if (TakeAnswered() is { } done)
                {
                    if (Judge(done) is { } reply) return reply;

                    now = clock.GetTimestamp();
                    nextAsking = Math.Min(nextAsking, now + HedgedRead.Ticks(HedgedRead.Pause(_retries), clock));
                    if (_retries >= options.MaxRetries)
                    {
                        if (_unansweredCount == 0) return WorkerFailures.Unreachable<T>();

                        nextAsking = Never;
                    }

                    _retries++;
                }
                else if (now >= _end)
                {
                    return _unansweredCount > 0
                        ? WorkerFailures.DeadlineExceeded<T>()
                        : WorkerFailures.Unreachable<T>();
                }
                else if (now >= _due && nextAsking != Never)
                {
                    // Only the answers to what was asked in time are still waited for.
                    nextAsking = Never;
                }
                else if (now >= nextAsking)
                {
                    if (_unansweredCount > 0) WorkerClientLog.AskedAgain(logger, options.HedgeAfter.TotalMilliseconds);
                    nextAsking = Ask(now, ending.Token);
                }
                else
                {
                    // How a wait ended is seen in the answers: an exception for each read of a silent silo would be an
                    // overload of its own.
                    Task wait = WaitAsync(now, Math.Min(_end, nextAsking), caller);
                    await wait.ConfigureAwait(
                        ConfigureAwaitOptions.ContinueOnCapturedContext | ConfigureAwaitOptions.SuppressThrowing);
                    if (IsAnswered()) continue;

                    caller.ThrowIfCancellationRequested();
                    now = clock.GetTimestamp();
                }
            }
        }
        finally
        {
            if (_unanswered is not null) await EndAsync(ending);
        }
    }

    // Returns when the next asking is due unless an answer comes first.
    private long Ask(long now, CancellationToken cancellationToken)
    {
        var id = CallId.Next();
        Task<Reply<T>> answer = CallId.Call(id, call, grain, deadline, cancellationToken);
        _unanswered = new Asking(id, answer, _unanswered);
        return ++_unansweredCount < options.MaxAskings ? now + HedgedRead.Ticks(options.HedgeAfter, clock) : Never;
    }

    // Waits for any answer until a moment. The caller's token ends the wait as well: an asking need not honour it.
    private Task WaitAsync(long now, long until, CancellationToken caller)
    {
        // A wait is cut to whole milliseconds: rounded up, or the loop would spin through the rest of one.
        var remaining = TimeSpan.FromMilliseconds(Math.Ceiling(clock.GetElapsedTime(now, until).TotalMilliseconds));
        return _unanswered switch
        {
            null => Task.Delay(remaining, clock, caller),
            { Next: null } only => ((Task)only.Answer).WaitAsync(remaining, clock, caller),
            _ => Task.WhenAny(Answers()).WaitAsync(remaining, clock, caller),
        };
    }

    private bool IsAnswered()
    {
        Asking? asking = _unanswered;
        while (asking is { Answer.IsCompleted: false }) asking = asking.Next;
        return asking is not null;
    }

    private Task<Reply<T>>? TakeAnswered()
    {
        Asking? previous = null;
        for (Asking? asking = _unanswered; asking is not null; previous = asking, asking = asking.Next)
        {
            if (!asking.Answer.IsCompleted) continue;

            if (previous is null) _unanswered = asking.Next;
            else previous.Next = asking.Next;
            _unansweredCount--;
            return asking.Answer;
        }

        return null;
    }

    // The reply that ends the read, or null when it is to be asked again.
    private Reply<T>? Judge(Task<Reply<T>> done)
    {
        try
        {
            // It has completed, so nothing waits here; it throws what it failed with.
            Reply<T> reply = done.GetAwaiter().GetResult();
            return WorkerFailures.IsWorthAnotherSilo(reply) && _retries < options.MaxRetries ? null : reply;
        }
        catch (Exception exception) when (WorkerFailures.IsLost(exception))
        {
            WorkerClientLog.SiloLost(logger, exception.GetType());
            return null;
        }
        catch (Exception exception)
        {
            return WorkerFailures.ReadFailed<T>(exception, logger);
        }
    }

    // Orleans forgets the losers' callbacks at once, and the silos are told to stop. At the deadline they stop by
    // themselves, and a database that answers nobody is no time for more messages.
    private async Task EndAsync(CancellationTokenSource ending)
    {
        Guid[] ids = [.. Askings().Select(static asking => asking.Id)];
        foreach (Task answer in Answers()) answer.Ignore();
        await ending.CancelAsync();
        if (clock.GetTimestamp() < _end) stopper.Stop(ids);
    }

    private IEnumerable<Task> Answers() => Askings().Select(static asking => asking.Answer);

    private IEnumerable<Asking> Askings()
    {
        for (Asking? asking = _unanswered; asking is not null; asking = asking.Next) yield return asking;
    }

    private sealed class Asking(Guid id, Task<Reply<T>> answer, Asking? next)
    {
        public Guid Id => id;

        public Task<Reply<T>> Answer => answer;

        public Asking? Next { get; set; } = next;
    }
}

/// <summary>What is the same for every read.</summary>
internal static class HedgedRead
{
    // The first pause is shorter than anyone notices; the growth keeps a lost cluster from being hammered by each
    // caller.
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(500);

    /// <summary>The pause before a silo is asked once more.</summary>
    public static TimeSpan Pause(int retries)
    {
        double most = Math.Min(FirstPause.TotalMilliseconds * Math.Pow(2, retries), LongestPause.TotalMilliseconds);
        return TimeSpan.FromMilliseconds(Random.Shared.NextDouble() * most);
    }

    /// <summary>A time as a difference of the clock's timestamps.</summary>
    public static long Ticks(TimeSpan time, TimeProvider clock) => (long)(time.TotalSeconds * clock.TimestampFrequency);
}
