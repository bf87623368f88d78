using System.Collections.Concurrent;

namespace UPool.Cluster.Workers;

/// <summary>
/// The calls that run in this silo, by the ids that their callers gave them. A caller that leaves can stop its calls
/// wherever they are. Orleans alone cannot: it sends a client's cancellation to the silo that the grain's key sticks
/// to, which for a call that was spread over all silos is usually another one.
/// </summary>
internal sealed class RunningCalls
{
    // The entry of Orleans' request context that carries the id of a call.
    public const string ContextKey = "upool.call";

    // One entry for each call in flight, removed when the call ends.
    private readonly ConcurrentDictionary<Guid, CancellationTokenSource> _calls = new();

    /// <summary>Enters the current call, until the scope is disposed.</summary>
    public Scope Enter(CancellationToken cancellationToken)
    {
        if (RequestContext.Get(ContextKey) is not Guid id) return new Scope(this, default, null, cancellationToken);

        var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        if (_calls.TryAdd(id, stop)) return new Scope(this, id, stop, stop.Token);

        // A part of a call that has already entered: it was given that call's token, or runs beside it to its own end.
        stop.Dispose();
        return new Scope(this, default, null, cancellationToken);
    }

    /// <summary>Stops a call; no-op if it does not run here.</summary>
    public void Stop(Guid id)
    {
        // Removing the source takes it from its scope, so it cannot be disposed here meanwhile.
        if (_calls.TryRemove(id, out CancellationTokenSource? stop)) stop.CancelAsync().Ignore();
    }

    /// <summary>The time between a call's entry and its end.</summary>
    internal readonly struct Scope(RunningCalls calls, Guid id, CancellationTokenSource? stop, CancellationToken token)
        : IDisposable
    {
        /// <summary>Cancelled when the caller has gone, in whichever way that became known.</summary>
        public CancellationToken Token => token;

        public void Dispose()
        {
            if (stop is not null && calls._calls.TryRemove(new KeyValuePair<Guid, CancellationTokenSource>(id, stop)))
                stop.Dispose();
        }
    }
}
