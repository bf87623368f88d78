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
/// The race between an operation of the driver and what may end the caller's wait for it: deadline, cancellation,
/// close. The driver never sees the caller's token, because its own cancellation blocks the canceller (INV-6).
/// </summary>
/// <remarks>
/// One object per connection, armed again for each operation. It settles when the driver's task has ended, however
/// late, <b>and</b> the caller has taken its result; only then may it be armed again, so neither a late completion
/// nor a late caller can meet the next operation (INV-3).
/// </remarks>
internal sealed class Operation : WheelEntry, IValueTaskSource<OperationEnd>
{
    private const long Idle = 0;
    private const long Arming = 1;
    private const long Running = 2;
    private const long Completed = 3;
    private const long Severed = 4;
    private const long PhaseMask = 7;
    private const long NextRun = 8;

    private readonly Action _onDriverCompleted;

    // The phase in the low bits, the run's number above: who severs swaps the very run that it examined.
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

    /// <summary>Waits for a task of the driver, or for what comes first.</summary>
    /// <param name="driver">The driver's task, already running.</param>
    /// <param name="due">The deadline as a timestamp of the wheel's clock; 0 for none.</param>
    /// <param name="wheel">The pool's wheel.</param>
    /// <param name="token">The caller's token.</param>
    public ValueTask<OperationEnd> RaceAsync(Task driver, long due, DeadlineWheel wheel, CancellationToken token)
    {
        if (driver.IsCompleted) return new ValueTask<OperationEnd>(OperationEnd.Completed);

        long idle = Volatile.Read(ref _state);
        long run = (idle & ~PhaseMask) + NextRun;
        if ((idle & PhaseMask) != Idle || Interlocked.CompareExchange(ref _state, run | Arming, idle) != idle)
        {
            throw new InvalidOperationException(
                "The connection already executes an operation. Await it first, or rent a second connection.");
        }

        _source.Reset();
        short version = _source.Version;
        _due = due;
        _wheel = wheel;
        _token = token;
        _severedParts = 0;
        Volatile.Write(ref _state, run | Running);

        // Only now, so that what fires at once finds the operation running; and the driver's completion last, because
        // its continuation may start the next operation before this method returns.
        if (due != 0) wheel.Add(this, due);
        if (token.CanBeCanceled)
        {
            _registration = token.UnsafeRegister(
                static (operation, cancelled) => ((Operation)operation!).OnCancelled(cancelled), this);
        }

        driver.ConfigureAwait(false).GetAwaiter().UnsafeOnCompleted(_onDriverCompleted);
        return new ValueTask<OperationEnd>(this, version);
    }

    /// <summary>Cuts the caller off, when one is waiting; it sees <see cref="OperationEnd.Closed"/>.</summary>
    public void Sever() => TrySever(Volatile.Read(ref _state), OperationEnd.Closed);

    /// <summary>Completes when the driver and the caller have both finished with the last operation.</summary>
    public Task WhenSettled()
    {
        long state = Volatile.Read(ref _state);
        if ((state & PhaseMask) == Idle) return Task.CompletedTask;

        // Put the mark down first, then look again: whoever settles looks for it after it has changed the state. A mark
        // names its run, because one that came too late stays behind, and would tell the next run that it has settled.
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

        // A call that was meant for an earlier operation comes too early for this one.
        if (_due != 0 && now >= _due) TrySever(state, OperationEnd.Deadline);
    }

    OperationEnd IValueTaskSource<OperationEnd>.GetResult(short token)
    {
        OperationEnd end = _source.GetResult(token);

        // Unregister, not Dispose: Dispose waits for a callback that is running.
        _registration.Unregister();
        _registration = default;
        if (_due != 0) _wheel!.Remove(this);

        if (end == OperationEnd.Completed) Settle();
        else FinishSevered();
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

    private void TrySever(long state, OperationEnd end)
    {
        if ((state & PhaseMask) != Running) return;
        if (Interlocked.CompareExchange(ref _state, (state & ~PhaseMask) | Severed, state) != state) return;

        // The caller goes on elsewhere: this may be the timer's thread, or the one that called Cancel().
        _source.RunContinuationsAsynchronously = true;
        _source.SetResult(end);
    }

    private void OnDriverCompleted()
    {
        long state = Volatile.Read(ref _state);
        if ((state & PhaseMask) == Running
            && Interlocked.CompareExchange(ref _state, (state & ~PhaseMask) | Completed, state) == state)
        {
            _source.RunContinuationsAsynchronously = false;
            _source.SetResult(OperationEnd.Completed);
            return;
        }

        FinishSevered();
    }

    /// <summary>One of the two parties of a severed operation, the driver and the caller, has finished.</summary>
    private void FinishSevered()
    {
        if (Interlocked.Increment(ref _severedParts) == 2) Settle();
    }

    private void Settle()
    {
        long run = _state & ~PhaseMask;
        Volatile.Write(ref _state, run | Idle);
        Interlocked.MemoryBarrier();
        if (Volatile.Read(ref _mark) is { } mark && mark.Run == run) mark.TrySetResult();
    }

    /// <summary>Somebody waits for a run to settle.</summary>
    private sealed class Mark(long run) : TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public long Run => run;
    }
}
