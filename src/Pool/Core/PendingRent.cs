using System.Threading.Tasks.Sources;

namespace UPool.Core;

/// <summary>What a rent came to: a connection with the number of its rent, or a refusal.</summary>
internal readonly struct RentOutcome
{
    public RentOutcome(PhysicalConnection connection, long rentId)
    {
        Connection = connection;
        RentId = rentId;
    }

    public RentOutcome(RentRefusal refusal) => Refusal = refusal;

    public PhysicalConnection? Connection { get; }

    public long RentId { get; }

    public RentRefusal? Refusal { get; }
}

/// <summary>
/// A rent that waits. Its place in the queue is guarded by the pool's lock; whoever takes it out of the queue, and
/// nobody else, completes it, outside that lock.
/// </summary>
internal sealed class PendingRent(ConnectionPool pool, long startedAt, long due)
    : WheelEntry, IValueTaskSource<RentOutcome>
{
    // Continuations run elsewhere: the one that completes a rent is somebody's return, an open or the timer.
    private ManualResetValueTaskSourceCore<RentOutcome> _source = new() { RunContinuationsAsynchronously = true };
    private CancellationTokenRegistration _registration;

    /// <summary>The next in the queue; guarded by the pool's lock.</summary>
    public PendingRent? NextPending { get; set; }

    /// <summary>The one before in the queue; guarded by the pool's lock.</summary>
    public PendingRent? PreviousPending { get; set; }

    /// <summary>Whether it is in the queue; guarded by the pool's lock.</summary>
    public bool IsQueued { get; set; }

    /// <summary>When it began to wait; a timestamp of the pool's clock.</summary>
    public long StartedAt => startedAt;

    /// <summary>When it is given up; a timestamp of the pool's clock.</summary>
    public long Due => due;

    /// <summary>The code that rents, for the report of a rent held too long.</summary>
    public string? RentedBy { get; init; }

    /// <summary>What a no-reset rent is made for; null for any other rent, which wants the session as new.</summary>
    public FixedSelect? Select { get; init; }

    public ValueTask<RentOutcome> Task => new(this, _source.Version);

    /// <summary>Listens to the caller's token. Called once, outside the pool's lock, after the rent was
    /// queued.</summary>
    public void ListenTo(CancellationToken token)
    {
        if (!token.CanBeCanceled) return;

        _registration = token.UnsafeRegister(
            static (rent, cancelled) => ((PendingRent)rent!).OnCancelled(cancelled), this);
    }

    public void Complete(RentOutcome outcome) => _source.SetResult(outcome);

    public void Fail(Exception exception) => _source.SetException(exception);

    internal override void OnDue(long now) => pool.GiveUp(this);

    RentOutcome IValueTaskSource<RentOutcome>.GetResult(short token)
    {
        _registration.Unregister();
        return _source.GetResult(token);
    }

    ValueTaskSourceStatus IValueTaskSource<RentOutcome>.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource<RentOutcome>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);

    private void OnCancelled(CancellationToken token) => pool.Leave(this, token);
}
