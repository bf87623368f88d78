using System.Threading.Tasks.Sources;

namespace UPool.Core;

/// <summary>The outcome of a rent: a connection with the number of the rent, or a refusal.</summary>
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
/// A rent that waits. Its place in the queue is guarded by the pool's lock. Only the code that takes it out of the
/// queue completes it, outside that lock.
/// </summary>
/// <remarks>
/// Used again for another rent once it is spent. Until then three may refer to it: the code that completes it, the
/// caller that awaits it, and a callback of the caller's token (INV-3).
/// </remarks>
internal sealed class PendingRent(ConnectionPool pool) : IValueTaskSource<RentOutcome>
{
    // Continuations run on another thread: a rent is completed by another caller's return, an open or the timer.
    private ManualResetValueTaskSourceCore<RentOutcome> _source = new() { RunContinuationsAsynchronously = true };
    private CancellationTokenRegistration _registration;
    private bool _isCompleted, _isTaken;

    /// <summary>The next rent in the queue, or among the spare ones; guarded by the pool's lock.</summary>
    public PendingRent? NextPending { get; set; }

    /// <summary>The previous rent in the queue; guarded by the pool's lock.</summary>
    public PendingRent? PreviousPending { get; set; }

    /// <summary>Whether it is in the queue; guarded by the pool's lock.</summary>
    public bool IsQueued { get; set; }

    /// <summary>When it began to wait; a timestamp of the pool's clock.</summary>
    public long StartedAt { get; private set; }

    /// <summary>When it times out; a timestamp of the pool's clock.</summary>
    public long Due { get; private set; }

    /// <summary>The code that rents, for the report of a rent held too long.</summary>
    public RentPlace RentedBy { get; private set; }

    /// <summary>The fixed SELECT of a no-reset rent; null for any other rent, which needs the session as new.</summary>
    public FixedSelect? Select { get; private set; }

    /// <summary>The task that the caller awaits, once.</summary>
    public ValueTask<RentOutcome> Task => new(this, _source.Version);

    /// <summary>Whether nothing will touch it any more, so that it may become another rent.</summary>
    public bool IsSpent => Volatile.Read(ref _isCompleted) && Volatile.Read(ref _isTaken);

    /// <summary>Makes it the rent of a caller.</summary>
    public void Begin(long startedAt, long due, RentPlace rentedBy, FixedSelect? select)
    {
        StartedAt = startedAt;
        Due = due;
        RentedBy = rentedBy;
        Select = select;
    }

    /// <summary>Prepares it for the next caller. From here on a task that an earlier caller kept fails.</summary>
    public void Reset()
    {
        _source.Reset();
        _isCompleted = _isTaken = false;
    }

    /// <summary>Listens to the caller's token. Called once, outside the pool's lock, after the rent was
    /// queued.</summary>
    public void ListenTo(CancellationToken token)
    {
        if (!token.CanBeCanceled) return;

        _registration = token.UnsafeRegister(
            static (rent, cancelled) => ((PendingRent)rent!).OnCancelled(cancelled), this);
    }

    public void Complete(RentOutcome outcome)
    {
        _source.SetResult(outcome);

        // Only now: SetResult looks for a continuation before it returns, and the caller may be done long before that.
        Volatile.Write(ref _isCompleted, true);
    }

    public void Fail(Exception exception) => _source.SetException(exception);

    RentOutcome IValueTaskSource<RentOutcome>.GetResult(short token)
    {
        // First, because it throws when this object is another caller's rent by now.
        RentOutcome outcome = _source.GetResult(token);

        // Unregister, not Dispose: Dispose waits for a callback that is running. Such a callback would take the next
        // rent for this one, so this object is then not used again.
        bool isUnheard = !_registration.Token.CanBeCanceled || _registration.Unregister();
        _registration = default;
        Volatile.Write(ref _isTaken, isUnheard);
        return outcome;
    }

    ValueTaskSourceStatus IValueTaskSource<RentOutcome>.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource<RentOutcome>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);

    private void OnCancelled(CancellationToken token) => pool.Withdraw(this, token);
}
