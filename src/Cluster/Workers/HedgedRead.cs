using Microsoft.Extensions.Logging;

namespace UPool.Cluster.Workers;

/// <summary>One read of a client: sent, sent again if its silo is lost, and hedged while it is unanswered.</summary>
/// <remarks>
/// <para>Hedging follows Dean and Barroso, "The Tail at Scale" (CACM 56:2, 2013).</para>
/// <para>Times are timestamps of the clock, which is read as seldom as possible: every read of the cluster passes here,
/// and one that the first silo answers costs one reading.</para>
/// </remarks>
/// <param name="grain">The worker.</param>
/// <param name="call">Sends one attempt.</param>
/// <param name="deadline">When the answer is due in its silo; must not be none.</param>
/// <param name="grace">How long after that an answer may still arrive.</param>
/// <param name="options">How often to send.</param>
/// <param name="stopper">Stops the attempts that no caller waits for any more.</param>
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

    // The attempts under way, the latest first; nearly always one.
    private Attempt? _unanswered;
    private int _unansweredCount;
    private int _retries;

    /// <summary>The first answer, or the failure of the read, by the end at the latest.</summary>
    /// <param name="now">The current timestamp.</param>
    /// <param name="caller">Cancelled when the caller has gone.</param>
    public async Task<Reply<T>> RunAsync(long now, CancellationToken caller)
    {
        // Not linked to the caller's token: the wait for the answers already observes that one.
        using var ending = new CancellationTokenSource();
        try
        {
            long nextAttempt = Ask(now, ending.Token);
            while (true)
            {
                if (TakeAnswered() is { } done)
                {
                    if (Judge(done) is { } reply) return reply;

                    now = clock.GetTimestamp();
                    nextAttempt = Math.Min(nextAttempt, now + HedgedRead.Ticks(HedgedRead.Pause(_retries), clock));
                    if (_retries >= options.MaxRetries)
                    {
                        if (_unansweredCount == 0) return WorkerFailures.Unreachable<T>();

                        nextAttempt = Never;
                    }

                    _retries++;
                }
                else if (now >= _end)
                {
                    return _unansweredCount > 0
                        ? WorkerFailures.DeadlineExceeded<T>()
                        : WorkerFailures.Unreachable<T>();
                }
                else if (now >= _due && nextAttempt != Never)
                {
                    // From here on only answers to attempts sent in time are waited for.
                    nextAttempt = Never;
                }
                else if (now >= nextAttempt)
                {
                    if (_unansweredCount > 0) WorkerClientLog.AskedAgain(logger, options.HedgeAfter.TotalMilliseconds);
                    nextAttempt = Ask(now, ending.Token);
                }
                else
                {
                    // The answers show how a wait ended: an exception for each read of a silent silo would itself be an
                    // overload.
                    Task wait = WaitAsync(now, Math.Min(_end, nextAttempt), caller);
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

    // Returns when the next attempt is due if no answer comes first.
    private long Ask(long now, CancellationToken cancellationToken)
    {
        var id = CallId.Next();
        Task<Reply<T>> answer = CallId.Call(id, call, grain, deadline, cancellationToken);
        _unanswered = new Attempt(id, answer, _unanswered);
        return ++_unansweredCount < options.MaxAskings ? now + HedgedRead.Ticks(options.HedgeAfter, clock) : Never;
    }

    // Waits for any answer until a time. The caller's token ends the wait too: an attempt need not honour it.
    private Task WaitAsync(long now, long until, CancellationToken caller)
    {
        // A wait is cut to whole milliseconds. Round up, or the loop would spin through the rest of one.
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
        Attempt? attempt = _unanswered;
        while (attempt is { Answer.IsCompleted: false }) attempt = attempt.Next;
        return attempt is not null;
    }

    private Task<Reply<T>>? TakeAnswered()
    {
        Attempt? previous = null;
        for (Attempt? attempt = _unanswered; attempt is not null; previous = attempt, attempt = attempt.Next)
        {
            if (!attempt.Answer.IsCompleted) continue;

            if (previous is null) _unanswered = attempt.Next;
            else previous.Next = attempt.Next;
            _unansweredCount--;
            return attempt.Answer;
        }

        return null;
    }

    // The reply that ends the read, or null if it is to be sent again.
    private Reply<T>? Judge(Task<Reply<T>> done)
    {
        try
        {
            // The task has completed, so this does not wait; it throws the task's exception.
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

    // Orleans forgets the other attempts' callbacks at once, and the silos are told to stop. At the deadline they stop
    // on their own, and a database that does not answer needs no more messages.
    private async Task EndAsync(CancellationTokenSource ending)
    {
        Guid[] ids = [.. Attempts().Select(static attempt => attempt.Id)];
        foreach (Task answer in Answers()) answer.Ignore();
        await ending.CancelAsync();
        if (clock.GetTimestamp() < _end) stopper.Stop(ids);
    }

    private IEnumerable<Task> Answers() => Attempts().Select(static attempt => attempt.Answer);

    private IEnumerable<Attempt> Attempts()
    {
        for (Attempt? attempt = _unanswered; attempt is not null; attempt = attempt.Next) yield return attempt;
    }

    private sealed class Attempt(Guid id, Task<Reply<T>> answer, Attempt? next)
    {
        public Guid Id => id;

        public Task<Reply<T>> Answer => answer;

        public Attempt? Next { get; set; } = next;
    }
}

/// <summary>The parts that are the same for every read.</summary>
internal static class HedgedRead
{
    // The first pause is too short to be noticed; the growth keeps the callers from overloading a lost cluster.
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(500);

    /// <summary>The pause before the next attempt.</summary>
    public static TimeSpan Pause(int retries)
    {
        double most = Math.Min(FirstPause.TotalMilliseconds * Math.Pow(2, retries), LongestPause.TotalMilliseconds);
        return TimeSpan.FromMilliseconds(Random.Shared.NextDouble() * most);
    }

    /// <summary>A duration as a difference of the clock's timestamps.</summary>
    public static long Ticks(TimeSpan time, TimeProvider clock) => (long)(time.TotalSeconds * clock.TimestampFrequency);
}
