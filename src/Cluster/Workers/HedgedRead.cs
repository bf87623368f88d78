using Microsoft.Extensions.Logging;

namespace UPool.Cluster.Workers;

/// <summary>One read of a client: asked, asked again when its silo is lost, and hedged while it is
/// unanswered.</summary>
/// <remarks>The idea of the hedge is that of Dean and Barroso, "The Tail at Scale" (CACM 56:2, 2013).</remarks>
internal sealed class HedgedRead<T>(
    Func<CancellationToken, Task<Reply<T>>> ask,
    Deadline deadline,
    Deadline end,
    WorkerClientOptions options,
    CallStopper stopper,
    TimeProvider clock,
    ILogger logger)
{
    private readonly List<Asking> _unanswered = new(1);
    private int _retries;

    /// <summary>The first answer, or how the read failed, by the end at the latest.</summary>
    public async Task<Reply<T>> RunAsync(CancellationToken caller)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(caller);
        try
        {
            Deadline nextAsking = Ask(ending.Token);
            while (true)
            {
                Task<Reply<T>>? done = await AnyAnsweredAsync(Deadline.Earlier(end, nextAsking), caller);
                if (done is not null)
                {
                    if (await JudgeAsync(done) is { } reply) return reply;

                    nextAsking = Deadline.Earlier(nextAsking, Deadline.After(HedgedRead.Pause(_retries), clock));
                    if (_retries >= options.MaxRetries)
                    {
                        if (_unanswered.Count == 0) return WorkerFailures.Unreachable<T>();

                        nextAsking = Deadline.None;
                    }

                    _retries++;
                }
                else if (end.HasPassed(clock))
                {
                    return _unanswered.Count > 0
                        ? WorkerFailures.DeadlineExceeded<T>()
                        : WorkerFailures.Unreachable<T>();
                }
                else if (deadline.HasPassed(clock))
                {
                    // Only the answers to what was asked in time are still waited for.
                    nextAsking = Deadline.None;
                }
                else if (nextAsking.HasPassed(clock))
                {
                    if (_unanswered.Count > 0) WorkerClientLog.AskedAgain(logger, options.HedgeAfter.TotalMilliseconds);
                    nextAsking = Ask(ending.Token);
                }
            }
        }
        finally
        {
            await EndAsync(ending);
        }
    }

    // Returns when the next asking is due unless an answer comes first.
    private Deadline Ask(CancellationToken cancellationToken)
    {
        var id = Guid.NewGuid();
        _unanswered.Add(new Asking(id, AskAsync(id, cancellationToken)));
        return _unanswered.Count < options.MaxAskings ? Deadline.After(options.HedgeAfter, clock) : Deadline.None;
    }

    // Orleans throws some failures at the call already; like this they all arrive with the task. And what is set in an
    // asynchronous method is seen by what it calls, and by nobody else.
    private async Task<Reply<T>> AskAsync(Guid id, CancellationToken cancellationToken)
    {
        RequestContext.Set(RunningCalls.ContextKey, id);
        return await ask(cancellationToken);
    }

    private async Task<Task<Reply<T>>?> AnyAnsweredAsync(Deadline until, CancellationToken caller)
    {
        if (!_unanswered.Exists(static asking => asking.Task.IsCompleted))
        {
            // The caller's token ends the wait as well: an asking need not have honoured it.
            using var waiting = CancellationTokenSource.CreateLinkedTokenSource(caller);

            // A delay is cut to whole milliseconds: rounded up, or the loop would spin through the rest of one.
            var remaining = TimeSpan.FromMilliseconds(Math.Ceiling(until.Remaining(clock).TotalMilliseconds));
            Task alarm = Task.Delay(remaining, clock, waiting.Token);
            await Task.WhenAny([.. _unanswered.Select(static asking => asking.Task), alarm]);
            await waiting.CancelAsync();
            caller.ThrowIfCancellationRequested();
        }

        int index = _unanswered.FindIndex(static asking => asking.Task.IsCompleted);
        if (index < 0) return null;

        Task<Reply<T>> done = _unanswered[index].Task;
        _unanswered.RemoveAt(index);
        return done;
    }

    // The reply that ends the read, or null when it is to be asked again.
    private async Task<Reply<T>?> JudgeAsync(Task<Reply<T>> done)
    {
        try
        {
            Reply<T> reply = await done;
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
        if (_unanswered.Count == 0) return;

        foreach (Asking loser in _unanswered) loser.Task.Ignore();
        await ending.CancelAsync();
        if (!end.HasPassed(clock)) stopper.Stop([.. _unanswered.Select(static asking => asking.Id)]);
    }

    private readonly record struct Asking(Guid Id, Task<Reply<T>> Task);
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
}
