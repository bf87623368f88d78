using System.Diagnostics.CodeAnalysis;
using System.Threading.Tasks.Sources;

namespace UPool.Core;

/// <summary>How a wait for an operation of the driver ended.</summary>
internal enum OperationEnd
{
    /// <summary>The driver's task has completed.</summary>
    Completed,

    /// <summary>The deadline passed first.</summary>
    Deadline,

    /// <summary>The caller's token was cancelled first.</summary>
    Cancelled,

    /// <summary>The connection was taken away first: closed by its renter, or by a drain.</summary>
    Closed,
}

/// <summary>
/// The race between an operation of the driver and the events that may end the caller's wait: deadline, cancellation,
/// close. The driver never sees the caller's token, because its own cancellation blocks the canceller (INV-6).
/// </summary>
/// <remarks>
/// <para>One object per connection, claimed for each operation before the driver is called. It settles when the
/// driver's task has ended, however late, <b>and</b> the caller has taken its result; only then may it be claimed
/// again, so neither a late completion nor a late caller can meet the next operation (INV-3).</para>
/// <para>A claimant reads <see cref="CurrentRun"/>, checks its rent, then claims the run that it read. The code that
/// ends the rent calls <see cref="TryFence"/> after that: either it finds the claim and waits until it has settled, or
/// it advances the number and the claim fails. So no statement starts on a session that is being recovered.</para>
/// </remarks>
internal sealed class Operation : WheelEntry, IValueTaskSource<OperationEnd>
{
    private const long Idle = 0;
    private const long Claimed = 1;
    private const long Running = 2;
    private const long Severed = 3;

    // Severed while no caller waited for the driver: the claimant learns of it when it begins to wait.
    private const long ClaimedSevered = 4;
    private const long PhaseMask = 7;
    private const long NextRun = 8;

    private readonly Action _onDriverCompleted;

    // The phase in the low bits, the run's number above: a sever replaces exactly the run that it examined.
    private long _state;
    private ManualResetValueTaskSourceCore<OperationEnd> _source;
    private long _due;
    private DeadlineWheel? _wheel;
    private CancellationToken _token;
    private CancellationTokenRegistration _registration;
    private int _severedParts;
    private Mark? _mark;

    public Operation() => _onDriverCompleted = OnDriverCompleted;

    /// <summary>Whether the driver or the caller has not finished with the last operation.</summary>
    public bool IsInFlight => (Volatile.Read(ref _state) & PhaseMask) != Idle;

    /// <summary>The operation that runs now, for <see cref="Cancel"/> and <see cref="Claim"/>.</summary>
    public long CurrentRun => Volatile.Read(ref _state);

    /// <summary>Claims the connection for one operation, which ends with <see cref="Release"/>.</summary>
    /// <param name="seen">The <see cref="CurrentRun"/> read before the caller checked that it holds the
    /// connection.</param>
    /// <exception cref="InvalidOperationException">An operation is in flight, or another caller was faster.</exception>
    public long Claim(long seen)
    {
        if (!TryClaim(seen, out long run)) ThrowInFlight();
        return run;
    }

    /// <inheritdoc cref="Claim"/>
    public bool TryClaim(long seen, out long run)
    {
        run = (seen & ~PhaseMask) + NextRun;
        return (seen & PhaseMask) == Idle && Interlocked.CompareExchange(ref _state, run | Claimed, seen) == seen;
    }

    /// <summary>The claimant is done with the driver. Does nothing after a sever: then the driver's end settles
    /// it.</summary>
    public void Release(long run)
    {
        while (true)
        {
            long state = Volatile.Read(ref _state);
            if ((state & ~PhaseMask) != run || (state & PhaseMask) is not (Claimed or ClaimedSevered)) return;
            if (Interlocked.CompareExchange(ref _state, run | Idle, state) != state) continue;

            TellSettled(run);
            return;
        }
    }

    /// <summary>
    /// Ensures that no caller that has read <see cref="CurrentRun"/> can claim it. False when there is a claim already,
    /// whose end must be awaited.
    /// </summary>
    public bool TryFence()
    {
        long state = Volatile.Read(ref _state);
        return (state & PhaseMask) == Idle
            && Interlocked.CompareExchange(ref _state, state + NextRun, state) == state;
    }

    /// <summary>Waits for a task of the driver, or for the event that comes first. The operation is claimed.</summary>
    /// <param name="driver">The driver's task, already running.</param>
    /// <param name="due">The deadline as a timestamp of the wheel's clock; 0 for none.</param>
    /// <param name="wheel">The pool's wheel.</param>
    /// <param name="token">The caller's token.</param>
    public ValueTask<OperationEnd> RaceAsync(Task driver, long due, DeadlineWheel wheel, CancellationToken token)
    {
        if (driver.IsCompleted) return new ValueTask<OperationEnd>(OperationEnd.Completed);

        _source.Reset();
        short version = _source.Version;
        _due = due;
        _wheel = wheel;
        _token = token;
        _severedParts = 0;
        long run = Volatile.Read(ref _state) & ~PhaseMask;
        if (Interlocked.CompareExchange(ref _state, run | Running, run | Claimed) != (run | Claimed))
        {
            // Severed between the claim and now.
            _due = 0;
            Volatile.Write(ref _state, run | Severed);
            _source.SetResult(OperationEnd.Closed);
            driver.ConfigureAwait(false).GetAwaiter().UnsafeOnCompleted(_onDriverCompleted);
            return new ValueTask<OperationEnd>(this, version);
        }

        // Only now, so that an event that fires at once finds the operation running. The driver's completion comes
        // last, because its continuation may start the next operation before this method returns.
        if (due != 0) wheel.Add(this, due);
        if (token.CanBeCanceled)
        {
            _registration = token.UnsafeRegister(
                static (operation, cancelled) => ((Operation)operation!).OnCancelled(cancelled), this);
        }

        driver.ConfigureAwait(false).GetAwaiter().UnsafeOnCompleted(_onDriverCompleted);
        return new ValueTask<OperationEnd>(this, version);
    }

    /// <summary>Cuts the caller off with <see cref="OperationEnd.Closed"/>: at once when it is waiting, else when it
    /// begins to wait.</summary>
    public void Sever()
    {
        while (true)
        {
            long state = Volatile.Read(ref _state);
            if ((state & PhaseMask) == Running && TrySever(state, OperationEnd.Closed)) return;
            if ((state & PhaseMask) is not (Claimed or Running)) return;

            long severed = (state & ~PhaseMask) | ClaimedSevered;
            if ((state & PhaseMask) == Claimed
                && Interlocked.CompareExchange(ref _state, severed, state) == state)
            {
                return;
            }
        }
    }

    /// <summary>Cuts off the caller of exactly that run, as its token would.</summary>
    public void Cancel(long run) => TrySever(run, OperationEnd.Cancelled);

    /// <summary>Completes when the driver and the caller have both finished with the last operation.</summary>
    public Task WhenSettled()
    {
        long state = Volatile.Read(ref _state);
        if ((state & PhaseMask) == Idle) return Task.CompletedTask;

        // Set the mark first, then read the state again: the settling side changes the state, then looks for the mark.
        // A mark names its run, because one that came too late stays behind and would report the next run as settled.
        long run = state & ~PhaseMask;
        Mark? mark;
        while ((mark = Volatile.Read(ref _mark)) is null || mark.Run < run)
        {
            if (Interlocked.CompareExchange(ref _mark, new Mark(run), mark) == mark) mark?.TrySetResult();
        }

        state = Volatile.Read(ref _state);
        return (state & ~PhaseMask) == run && (state & PhaseMask) != Idle ? mark.Task : Task.CompletedTask;
    }

    internal override void OnDue(long now)
    {
        long state = Volatile.Read(ref _state);

        // A late call for an earlier operation comes too early for this one.
        if (_due != 0 && now >= _due) TrySever(state, OperationEnd.Deadline);
    }

    OperationEnd IValueTaskSource<OperationEnd>.GetResult(short token)
    {
        OperationEnd end = _source.GetResult(token);

        // Unregister, not Dispose: Dispose waits for a callback that is running.
        _registration.Unregister();
        _registration = default;
        if (_due != 0) _wheel!.Remove(this);

        // After a completion the claim lasts until it is released: the result has yet to be taken.
        if (end != OperationEnd.Completed) FinishSevered();
        return end;
    }

    ValueTaskSourceStatus IValueTaskSource<OperationEnd>.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource<OperationEnd>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);

    private void OnCancelled(CancellationToken token)
    {
        long state = Volatile.Read(ref _state);
        if (token == _token) TrySever(state, OperationEnd.Cancelled);
    }

    private bool TrySever(long state, OperationEnd end)
    {
        if ((state & PhaseMask) != Running) return false;
        if (Interlocked.CompareExchange(ref _state, (state & ~PhaseMask) | Severed, state) != state) return false;

        // The caller continues on another thread: this may be the timer's thread, or the one that called Cancel().
        _source.RunContinuationsAsynchronously = true;
        _source.SetResult(end);
        return true;
    }

    private void OnDriverCompleted()
    {
        long state = Volatile.Read(ref _state);
        if ((state & PhaseMask) == Running
            && Interlocked.CompareExchange(ref _state, (state & ~PhaseMask) | Claimed, state) == state)
        {
            _source.RunContinuationsAsynchronously = false;
            _source.SetResult(OperationEnd.Completed);
            return;
        }

        FinishSevered();
    }

    [DoesNotReturn]
    private static void ThrowInFlight() => throw new InvalidOperationException(
        "The connection already executes an operation. Await it first, or rent a second connection.");

    /// <summary>One of the two parties of a severed operation, the driver and the caller, has finished.</summary>
    private void FinishSevered()
    {
        if (Interlocked.Increment(ref _severedParts) != 2) return;

        long run = _state & ~PhaseMask;
        Volatile.Write(ref _state, run | Idle);
        Interlocked.MemoryBarrier();
        TellSettled(run);
    }

    // After the state has changed, and a full fence: a waiting caller sets its mark before it reads the state.
    private void TellSettled(long run)
    {
        if (Volatile.Read(ref _mark) is { } mark && mark.Run == run) mark.TrySetResult();
    }

    /// <summary>A wait for a run to settle.</summary>
    private sealed class Mark(long run) : TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public long Run => run;
    }
}
