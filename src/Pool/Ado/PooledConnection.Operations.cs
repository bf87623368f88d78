using System.Data;
using System.Diagnostics;
using System.Runtime.ExceptionServices;

using UPool.Core;

namespace UPool;

/// <content>One operation on the session: its claim, its wait, and what cuts it off.</content>
public sealed partial class PooledConnection
{
    /// <summary>
    /// Makes ready for an operation: claims the session, checks that there is still time, and waits for what an earlier
    /// dispose left to be done. Who gets the bound releases it when the operation has ended.
    /// </summary>
    /// <param name="timeout">The operation's own bound; infinite for none but the connection's.</param>
    /// <param name="token">The caller's token.</param>
    /// <param name="isFixedSelect">Whether it is the fixed SELECT of a no-reset rent; whatever else is done makes a
    /// reset due.</param>
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
    /// Claims the session for an operation, when it is still this connection's. Whoever takes it away meanwhile waits
    /// until the claim is released (INV-3).
    /// </summary>
    /// <exception cref="InvalidOperationException">It is not, or an operation is in flight.</exception>
    internal OperationBound Claim(Deadline deadline)
    {
        // In this order; see Operation.
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

    /// <summary>Waits for an operation of the driver and gives its result; severs the connection at the
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

    /// <summary>The same for an operation without a result.</summary>
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

    /// <summary>Cuts the operation in flight off from its caller, who then severs the connection.</summary>
    internal void Cancel()
    {
        if (_physical is not { } physical) return;

        // Which run first, then whose: in the other order the run could be the next renter's (INV-3).
        long run = physical.Operation.CurrentRun;
        if (physical.RentId == _rentId) physical.Operation.Cancel(run);
    }

    /// <summary>Severs between two operations, for a caller that never waits long enough to be cut off in
    /// one.</summary>
    internal Exception SeverBetween(OperationBound bound, OperationEnd end, CancellationToken token)
    {
        _ = Physical;
        Sever(bound, end);
        return Severed(end, token);
    }

    /// <summary>
    /// Of what failed behind the renter's back, throws what it must hear before it goes on (INV-9); the session is
    /// severed, so that a commit cannot acknowledge what is not there.
    /// </summary>
    private void ThrowIfLost(OperationBound bound, Exception failure)
    {
        // After a rollback that failed, what is executed now would run in the old transaction and be lost at its end.
        bool isStuck = bound.Physical.LingeringRollback;

        // Rows that nobody read ended with an error: in a transaction part of it was not done, or all is rolled back.
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

    /// <summary>Waits for an operation of the driver; when something else comes first, the connection is
    /// severed.</summary>
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

        // Nobody awaits the driver's task any more; its failure is of no interest but must not go unobserved.
        _ = operation.ContinueWith(
            static severed => severed.Exception, CancellationToken.None,
            TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously,
            TaskScheduler.Default);
        Sever(bound, end);
        return end;
    }

    // By the rent of the operation: a caller who closed and opened again meanwhile has another one.
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

/// <summary>The session an operation runs on, when it has to end, and the claim by which it may.</summary>
internal readonly record struct OperationBound(PhysicalConnection Physical, long RentId, Deadline Deadline, long Run)
{
    /// <summary>The operation has ended, and what it came to is taken.</summary>
    public void Release() => Physical.Operation.Release(Run);

    /// <summary>Whether the caller still holds the session.</summary>
    public bool IsHeld => Physical.RentId == RentId;

    /// <summary>The span of the statement that begins; null when nobody listens.</summary>
    public Activity? Span { get; init; }
}
