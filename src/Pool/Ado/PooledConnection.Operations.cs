using System.Data;
using System.Diagnostics;
using System.Runtime.ExceptionServices;

using UPool.Core;

namespace UPool;

/// <content>One operation on the session: its claim, its wait, and its end by a deadline, a cancellation or a
/// close.</content>
public sealed partial class PooledConnection
{
    /// <summary>
    /// Prepares an operation: claims the session, checks that time is left, and waits for work left over by an earlier
    /// dispose. The caller releases the returned bound when the operation has ended.
    /// </summary>
    /// <param name="timeout">The operation's own timeout; infinite if only the connection's deadline applies.</param>
    /// <param name="token">The caller's token.</param>
    /// <param name="isFixedSelect">Whether it is the fixed SELECT of a no-reset rent; anything else makes a reset
    /// necessary.</param>
    internal async ValueTask<OperationBound> BeginAsync(
        TimeSpan timeout, CancellationToken token, bool isFixedSelect = false)
    {
        _ = Physical;
        token.ThrowIfCancellationRequested();
        Deadline deadline = Deadline.Earlier(_deadline, Deadline.After(timeout, _pool.Clock));
        if (deadline.HasPassed(_pool.Clock))
        {
            throw new DeadlineExceededException(
                $"Pool '{_pool.Options.Name}': the deadline had passed before the statement was sent; "
                + "nothing was done.");
        }

        OperationBound bound = Claim(deadline);
        bound.Physical.HasExecuted = true;
        if (!isFixedSelect || bound.Physical.Lingering is not null) bound.Physical.MustReset = true;
        if (bound.Physical.Lingering is null) return bound;

        try
        {
            await FinishLingeringAsync(bound, token).ConfigureAwait(false);
            return bound;
        }
        catch
        {
            bound.Release();
            throw;
        }
    }

    /// <summary>
    /// Claims the session for an operation, if this connection still holds it. Code that takes the session away
    /// meanwhile waits until the claim is released (INV-3).
    /// </summary>
    /// <exception cref="InvalidOperationException">The connection no longer holds the session, or an operation is in
    /// flight.</exception>
    internal OperationBound Claim(Deadline deadline)
    {
        // Read the run before the rent; see Operation.
        PhysicalConnection physical = _physical ?? throw NotOpen();
        long seen = physical.Operation.CurrentRun;
        if (physical.RentId != _rentId) throw NotOpen();

        var bound = new OperationBound(physical, _rentId, deadline, physical.Operation.Claim(seen));
        if (bound.IsHeld) return bound;

        bound.Release();
        throw NotOpen();
    }

    private async ValueTask FinishLingeringAsync(OperationBound bound, CancellationToken token)
    {
        PhysicalConnection physical = bound.Physical;
        Task lingering = physical.Lingering!;
        await EndAsync(lingering, bound, token).ConfigureAwait(false);
        await lingering.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (lingering.Exception?.InnerException is { } failure) ThrowIfLost(bound, failure);

        physical.EndLingering();
    }

    /// <summary>Waits for an operation of the driver and returns its result; severs the connection at the
    /// deadline.</summary>
    internal async ValueTask<T> RunAsync<T>(Task<T> operation, OperationBound bound, CancellationToken token)
    {
        if (bound.Span is not null) return await RunTracedAsync(operation, bound, token).ConfigureAwait(false);
        if (!operation.IsCompleted) await EndAsync(operation, bound, token).ConfigureAwait(false);

        try
        {
            return await operation.ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            NoteFailure(bound, exception);
            throw;
        }
    }

    /// <summary>As the overload above, without a result.</summary>
    internal async ValueTask RunAsync(Task operation, OperationBound bound, CancellationToken token)
    {
        if (!operation.IsCompleted) await EndAsync(operation, bound, token).ConfigureAwait(false);

        try
        {
            await operation.ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            NoteFailure(bound, exception);
            throw;
        }
    }

    /// <summary>Cuts the operation in flight off from its caller, which then severs the connection.</summary>
    internal void Cancel()
    {
        if (_physical is not { } physical) return;

        // Read the run before the rent: in the other order the run could be the next renter's (INV-3).
        long run = physical.Operation.CurrentRun;
        if (physical.RentId == _rentId) physical.Operation.Cancel(run);
    }

    /// <summary>Severs between two operations, for a caller whose operations all complete at once, so that no wait
    /// could cut it off.</summary>
    internal Exception SeverBetween(OperationBound bound, OperationEnd end, CancellationToken token)
    {
        _ = Physical;
        Sever(bound, end);
        return Severed(end, token);
    }

    /// <summary>
    /// Rethrows a background failure that the caller must know about (INV-9). The session is severed, so that a commit
    /// cannot acknowledge work that is lost.
    /// </summary>
    private void ThrowIfLost(OperationBound bound, Exception failure)
    {
        // After a failed rollback, the next statement would run in the old transaction and be lost when that ends.
        bool isStuck = bound.Physical.LingeringRollback;

        // Skipped rows ended with an error: the transaction is incomplete or rolled back.
        if (!isStuck && bound.Physical.Watch is null
            && _pool.Connector.Classify(failure) != DriverFailure.RolledBack)
        {
            return;
        }

        _pool.NoteFailure(bound.Physical, failure);
        if (isStuck) bound.Physical.MustDiscard = true;
        bound.Release();
        Sever(bound, OperationEnd.Closed);
        ExceptionDispatchInfo.Throw(failure);
    }

    internal void ThrowUnlessSynchronous(string instead)
    {
        if (_pool.Options.AllowSynchronous) return;

        throw new InvalidOperationException(
            $"Pool '{_pool.Options.Name}': synchronous database calls block a thread and are not allowed. "
            + $"Use {instead}, or set AllowSynchronous.");
    }

    private async ValueTask<T> RunTracedAsync<T>(Task<T> operation, OperationBound bound, CancellationToken token)
    {
        Activity span = bound.Span!;
        try
        {
            return await RunAsync(operation, bound with { Span = null }, token).ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            StatementTrace.Fail(span, exception);
            throw;
        }
        finally
        {
            StatementTrace.Stop(span);
        }
    }

    private async ValueTask EndAsync(Task operation, OperationBound bound, CancellationToken token)
    {
        OperationEnd end = await WaitAsync(operation, bound, token).ConfigureAwait(false);
        if (end != OperationEnd.Completed) throw Severed(end, token);
    }

    /// <summary>Waits for an operation of the driver; if the deadline, a cancellation or a close comes first, severs
    /// the connection.</summary>
    internal async ValueTask<OperationEnd> WaitAsync(Task operation, OperationBound bound, CancellationToken token)
    {
        PhysicalConnection physical = bound.Physical;
        physical.Begin(operation);
        OperationEnd end = await physical.Operation
            .RaceAsync(operation, bound.Deadline.Timestamp, _pool.Wheel, token).ConfigureAwait(false);
        if (end == OperationEnd.Completed)
        {
            physical.End(operation);
            return end;
        }

        // The driver's task is no longer awaited; observe its failure, which is otherwise ignored.
        _ = operation.ContinueWith(
            static severed => severed.Exception, CancellationToken.None,
            TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously,
            TaskScheduler.Default);
        Sever(bound, end);
        return end;
    }

    // Release by the operation's rent: a caller that has closed and reopened meanwhile holds another one.
    private void Sever(OperationBound bound, OperationEnd end)
    {
        _severedBy = end;
        bound.Physical.MustReset = true;
        _pool.OnSevered();
        _pool.Release(bound.Physical, bound.RentId);
        if (!IsOpen) Tell(ConnectionState.Closed);
    }

    private void NoteFailure(OperationBound bound, Exception exception)
    {
        bound.Physical.MustReset = true;
        bound.Physical.Watch?.NoteError();
        _pool.NoteFailure(bound.Physical, exception);
        if (bound.IsHeld && bound.Physical.IsBroken) Tell(ConnectionState.Broken);
    }

    internal Exception Severed(OperationEnd end, CancellationToken token) => end switch
    {
        OperationEnd.Cancelled => new OperationCanceledException(token),
        OperationEnd.Deadline => new DeadlineExceededException(
            $"Pool '{_pool.Options.Name}': a statement did not end by its deadline. It is being ended on the server; "
            + "in autocommit its effect is unknown, in a transaction it is rolled back."),
        OperationEnd.Closed => _physical is null
            ? new InvalidOperationException("The connection was closed while a statement was under way.")
            : SeveredByPool(),
        _ => new InvalidOperationException($"bug: an operation ended with {end}."),
    };

    private Exception NotOpen()
    {
        if (_disposed) return new ObjectDisposedException(nameof(PooledConnection));
        if (_severedBy is not (OperationEnd.Completed or OperationEnd.Closed))
        {
            return new InvalidOperationException(
                $"The connection was severed ({_severedBy}) during an earlier statement. Rent another one.");
        }

        return _physical is null ? new InvalidOperationException("The connection is not open.") : SeveredByPool();
    }

    private ConnectionSeveredException SeveredByPool() => new(
        $"Pool '{_pool.Options.Name}': the connection was taken away, because the lease of its permit had ended or the "
        + "pool was drained. Rent another one.");
}

/// <summary>The session of an operation, its deadline, and the run that claims it.</summary>
internal readonly record struct OperationBound(PhysicalConnection Physical, long RentId, Deadline Deadline, long Run)
{
    /// <summary>The operation has ended, and its result has been taken.</summary>
    public void Release() => Physical.Operation.Release(Run);

    /// <summary>Whether the caller still holds the session.</summary>
    public bool IsHeld => Physical.RentId == RentId;

    /// <summary>The span of the statement; null when no listener is active.</summary>
    public Activity? Span { get; init; }
}
