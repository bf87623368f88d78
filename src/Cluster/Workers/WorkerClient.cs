using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using UPool.Hosting;
using UPool.Sharing;

namespace UPool.Cluster.Workers;

/// <summary>
/// Calls a worker, wherever one is. Every call ends by its deadline with a reply, even if a silo is lost, the cluster
/// is unreachable or no answer comes. Only the caller's own cancellation is thrown.
/// </summary>
/// <remarks>
/// One grain key is enough: with <see cref="SpreadAttribute"/> on the method the calls of a client go round all silos,
/// and in a silo's own process the worker is always local.
/// </remarks>
/// <typeparam name="TGrain">The interface of the worker.</typeparam>
public sealed class WorkerClient<TGrain>
    where TGrain : IGrainWithIntegerKey
{
    // A write is due in its silo a little earlier than here: only the silo can tell that a transaction was rolled back,
    // and if its answer comes too late the outcome is unknown. At most a tenth of the time left.
    private static readonly TimeSpan WriteMargin = TimeSpan.FromMilliseconds(25);

    private readonly IGrainFactory _grains;
    private readonly WorkerClientOptions _options;
    private readonly TimeProvider _clock;
    private readonly ILogger _logger;
    private readonly CallStopper _stopper;
    private readonly SharedCalls _shared;
    private readonly IProcessStatus? _status;
    private readonly bool _isLocal;

    // As a difference of the clock's timestamps.
    private readonly long _maxCallTime;

    // Made at the first call: the client must know the cluster's grain types first.
    private TGrain? _grain;

    /// <summary>Creates the client; called by the container.</summary>
    public WorkerClient(
        IGrainFactory grains,
        IOptions<WorkerClientOptions> options,
        TimeProvider clock,
        ILogger<WorkerClient<TGrain>> logger,
        IServiceProvider services)
    {
        _grains = grains;
        _options = options.Value;
        _clock = clock;
        _maxCallTime = HedgedRead.Ticks(_options.MaxCallTime, clock);
        _logger = logger;
        _stopper = services.GetRequiredService<CallStopper>();
        _shared = services.GetRequiredService<SharedCalls>();
        _status = services.GetService<IProcessStatus>();
        _isLocal = services.GetService<ILocalSiloDetails>() is not null;
    }

    private TGrain Grain => _grain ??= _grains.GetGrain<TGrain>(0);

    /// <summary>
    /// Calls a read. If its silo is lost, the read is sent again to another. If it is unanswered for
    /// <see cref="WorkerClientOptions.HedgeAfter"/>, another attempt is sent while the first stays, and the first
    /// answer counts. All of that happens within the deadline.
    /// </summary>
    /// <param name="call">The call; it must pass on the deadline and the token it is given, and may run more than
    /// once.</param>
    /// <param name="deadline">When the answer is due; at most <see cref="WorkerClientOptions.MaxCallTime"/>
    /// ahead.</param>
    /// <param name="cancellationToken">Cancelled when the caller has gone.</param>
    /// <exception cref="OperationCanceledException">The caller has gone.</exception>
    public Task<Reply<T>> ReadAsync<T>(
        Func<TGrain, Deadline, CancellationToken, Task<Reply<T>>> call,
        Deadline deadline,
        CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        long now = _clock.GetTimestamp();
        deadline = Bound(deadline, now);
        if (Refusal<T>(deadline, now) is { } refusal) return Task.FromResult(refusal);
        if (_isLocal) return ReadHereAsync(call, deadline, now, cancellationToken);

        var read = new HedgedRead<TGrain, T>(
            Grain, call, deadline, WorkerFailures.AnswerGrace, _options, _stopper, _clock, _logger);
        return read.RunAsync(now, cancellationToken);
    }

    /// <summary>Makes a shared read: one call for all callers in this process that want it at the same time.</summary>
    /// <param name="name">The read's name in metrics.</param>
    /// <param name="call">The call, as for <see cref="ReadAsync"/>.</param>
    public SharedCall<TKey, T> Share<TKey, T>(
        string name, Func<TGrain, TKey, Deadline, CancellationToken, Task<Reply<T>>> call)
        where TKey : notnull, IEquatable<TKey>
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(call);
        Task<Reply<T>> CallAsync(TKey key, Deadline deadline, CancellationToken token) =>
            ReadAsync((grain, due, cancel) => call(grain, key, due, cancel), deadline, token);

        var queues = new ReadBatchQueues<TKey, Reply<T>>(new SingleKeyCall<TKey, T>(_shared, name, CallAsync));
        return new SharedCall<TKey, T>(_shared, CallAsync, queues.JoinAsync);
    }

    /// <summary>Makes a shared look-up by key: keys that arrive together become one call.</summary>
    /// <param name="name">The read's name in metrics.</param>
    /// <param name="callOne">Looks up one key: used if reads are not shared, and for silos of an earlier version that
    /// does not know <paramref name="callMany"/>.</param>
    /// <param name="callMany">Looks up 1 to 256 keys and answers with their rows in the same order, null where there is
    /// none.</param>
    public SharedCall<TKey, T> ShareLookup<TKey, T>(
        string name,
        Func<TGrain, TKey, Deadline, CancellationToken, Task<Reply<T>>> callOne,
        Func<TGrain, TKey[], Deadline, CancellationToken, Task<Reply<T?[]>>> callMany)
        where TKey : notnull, IEquatable<TKey>
        where T : class
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(callOne);
        ArgumentNullException.ThrowIfNull(callMany);
        Task<Reply<T>> CallOneAsync(TKey key, Deadline deadline, CancellationToken token) =>
            ReadAsync((grain, due, cancel) => callOne(grain, key, due, cancel), deadline, token);
        Task<Reply<T?[]>> CallManyAsync(TKey[] keys, Deadline deadline, CancellationToken token) =>
            ReadAsync((grain, due, cancel) => callMany(grain, keys, due, cancel), deadline, token);

        var queue = new ReadBatchQueue<TKey, Reply<T>>(
            new LookupCall<TKey, T>(_shared, name, CallOneAsync, CallManyAsync), onIdle: null);
        return new SharedCall<TKey, T>(_shared, CallOneAsync, queue.JoinAsync);
    }

    /// <summary>
    /// Calls a write. Once it may have been sent to the database it is never sent again (INV-9): if its answer is lost
    /// the outcome is unknown, unless it was provably never sent. A silo that stops or has no permits refuses before
    /// that; then another one is asked.
    /// </summary>
    /// <param name="call">The call; it must pass on the deadline and the token it is given.</param>
    /// <param name="deadline">When the answer is due; at most <see cref="WorkerClientOptions.MaxCallTime"/>
    /// ahead.</param>
    /// <param name="cancellationToken">Cancelled when the caller has gone.</param>
    /// <exception cref="OperationCanceledException">The caller has gone before anything was sent.</exception>
    public async Task<Reply<T>> WriteAsync<T>(
        Func<TGrain, Deadline, CancellationToken, Task<Reply<T>>> call,
        Deadline deadline,
        CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        long now = _clock.GetTimestamp();
        deadline = Bound(deadline, now);
        if (Refusal<T>(deadline, now) is { } refusal) return refusal;

        for (int retries = 0; ; retries++)
        {
            Reply<T> reply = await WriteOnceAsync(call, deadline, cancellationToken);
            if (_isLocal || retries == _options.MaxRetries || !WorkerFailures.IsWorthAnotherSilo(reply)) return reply;

            // The same pause as for a read that is sent again.
            await Task.Delay(HedgedRead.Pause(retries), _clock, cancellationToken);
            if (deadline.HasPassed(_clock)) return reply;
        }
    }

    private async Task<Reply<T>> WriteOnceAsync<T>(
        Func<TGrain, Deadline, CancellationToken, Task<Reply<T>>> call,
        Deadline deadline,
        CancellationToken cancellationToken)
    {
        // Set inside this asynchronous method, so that only the call below sees it and the caller's context is
        // unchanged.
        var ticket = new WriteTicket();
        RequestContext.Set(WriteTicket.ContextKey, ticket);
        Guid id = CallId.Next();
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task<Reply<T>>? answer = null;
        try
        {
            answer = _isLocal
                ? call(Grain, deadline, ending.Token)
                : CallId.Call(id, call, Grain, DueInSilo(deadline), ending.Token);
            return await answer.WaitAsync(
                deadline.Remaining(_clock) + WorkerFailures.AnswerGrace, _clock, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            if (ticket.TryVoid()) throw;

            if (!_isLocal) _stopper.Stop([id]);
            return Reply.Ended<T>(ReplyStatus.OutcomeUnknown, "the caller has gone before the answer came");
        }
        catch (Exception exception)
        {
            bool wasNeverSent = ticket.TryVoid();
            await ending.CancelAsync();
            return WriteFailed<T>(exception, wasNeverSent);
        }
        finally
        {
            answer?.Ignore();
        }
    }

    // In the silo's own process nothing is lost on the way, and another attempt would reach the same worker. So there
    // is no hedge: one timer, and only for a call that does not answer at once.
    private async Task<Reply<T>> ReadHereAsync<T>(
        Func<TGrain, Deadline, CancellationToken, Task<Reply<T>>> call,
        Deadline deadline,
        long now,
        CancellationToken cancellationToken)
    {
        Task<Reply<T>>? answer = null;
        try
        {
            answer = call(Grain, deadline, cancellationToken);
            TimeSpan remaining = _clock.GetElapsedTime(now, deadline.Timestamp);
            return await answer.WaitAsync(remaining + WorkerFailures.AnswerGrace, _clock, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            throw;
        }
        catch (TimeoutException)
        {
            return WorkerFailures.DeadlineExceeded<T>();
        }
        catch (Exception exception)
        {
            return WorkerFailures.ReadFailed<T>(exception, _logger);
        }
        finally
        {
            answer?.Ignore();
        }
    }

    private Reply<T> WriteFailed<T>(Exception exception, bool wasNeverSent)
    {
        if (WorkerFailures.IsOverload(exception)) return WorkerFailures.Overloaded<T>();

        bool isExpected = WorkerFailures.IsLost(exception);
        if (!isExpected) WorkerClientLog.CallFailed(_logger, exception);
        if (!wasNeverSent)
        {
            WorkerClientLog.OutcomeUnknown(_logger, exception.GetType());
            return Reply.Ended<T>(ReplyStatus.OutcomeUnknown, "the answer was lost");
        }

        return isExpected ? WorkerFailures.Unreachable<T>() : Reply.Ended<T>(ReplyStatus.Failed);
    }

    private Deadline DueInSilo(Deadline deadline)
    {
        TimeSpan left = deadline.Remaining(_clock);
        return Deadline.After(left - TimeSpan.FromTicks(Math.Min(WriteMargin.Ticks, left.Ticks / 10)), _clock);
    }

    private Deadline Bound(Deadline deadline, long now) =>
        deadline.IsNone || deadline.Timestamp - now > _maxCallTime
            ? Deadline.After(_options.MaxCallTime, _clock)
            : deadline;

    private Reply<T>? Refusal<T>(Deadline deadline, long now)
    {
        if (now >= deadline.Timestamp)
            return Reply.Refused<T>(RefusalReason.TimedOut, "the deadline had passed before the call was sent");

        // Before its start an Orleans client fails with null references, which tell a caller nothing.
        return _status is { IsStarted: false }
            ? Reply.Ended<T>(ReplyStatus.Unavailable, "this process has not joined the cluster yet")
            : null;
    }
}
