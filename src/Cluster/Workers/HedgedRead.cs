using Microsoft.Extensions.Logging;

namespace UPool.Cluster.Workers;

/// <summary>One read of a client: asked, asked again when its silo is lost, and hedged while it is unanswered.</summary>
/// <remarks>The idea of the hedge is that of Dean and Barroso, "The Tail at Scale" (CACM 56:2, 2013).</remarks>
internal sealed class HedgedRead<T>(
    Func<CancellationToken, Task<Reply<T>>> ask,
    Deadline end,
    WorkerClientOptions options,
    TimeProvider clock,
    ILogger logger)
{
    // The first pause is shorter than anyone notices; the growth keeps a lost cluster from being hammered by each reader.
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(500);

    private readonly List<Task<Reply<T>>> _unanswered = new(1);
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

                    nextAsking = Deadline.Earlier(nextAsking, Deadline.After(Pause(), clock));
                    if (_retries >= options.MaxRetries)
                    {
                        if (_unanswered.Count == 0) return WorkerFailures.Unreachable<T>();

                        nextAsking = Deadline.None;
                    }

                    _retries++;
                }
                else if (end.HasPassed(clock))
                {
                    return _unanswered.Count > 0 ? WorkerFailures.DeadlineExceeded<T>() : WorkerFailures.Unreachable<T>();
                }
                else
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
        _unanswered.Add(AskAsync(cancellationToken));
        return _unanswered.Count < options.MaxAskings ? Deadline.After(options.HedgeAfter, clock) : Deadline.None;
    }

    // Orleans throws some failures at the call already; like this they all arrive with the task.
    private async Task<Reply<T>> AskAsync(CancellationToken cancellationToken) => await ask(cancellationToken);

    private async Task<Task<Reply<T>>?> AnyAnsweredAsync(Deadline until, CancellationToken caller)
    {
        Task<Reply<T>>? done = _unanswered.Find(static asking => asking.IsCompleted);
        if (done is null)
        {
            // The caller's token ends the wait as well: an asking need not have honoured it.
            using var waiting = CancellationTokenSource.CreateLinkedTokenSource(caller);
            Task alarm = Task.Delay(until.Remaining(clock), clock, waiting.Token);
            Task first = await Task.WhenAny([.. _unanswered, alarm]);
            await waiting.CancelAsync();
            caller.ThrowIfCancellationRequested();
            done = first as Task<Reply<T>>;
        }

        if (done is not null) _unanswered.Remove(done);
        return done;
    }

    // The reply that ends the read, or null when it is to be asked again.
    private async Task<Reply<T>?> JudgeAsync(Task<Reply<T>> done)
    {
        try
        {
            Reply<T> reply = await done;
            // A draining silo has sent nothing to the database, and the others have not stopped.
            return reply is { Status: ReplyStatus.Refused, Refusal: RefusalReason.Draining }
                && _retries < options.MaxRetries
                ? null
                : reply;
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

    private TimeSpan Pause()
    {
        double most = Math.Min(FirstPause.TotalMilliseconds * Math.Pow(2, _retries), LongestPause.TotalMilliseconds);
        return TimeSpan.FromMilliseconds(Random.Shared.NextDouble() * most);
    }

    // The losers are told to stop: Orleans forgets their callbacks at once and passes the cancellation on to their silos.
    private async Task EndAsync(CancellationTokenSource ending)
    {
        if (_unanswered.Count == 0) return;

        foreach (Task<Reply<T>> loser in _unanswered) loser.Ignore();
        await ending.CancelAsync();
    }
}
