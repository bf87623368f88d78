using System.Data.Common;

using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

/// <summary>Every fault of the connector in every public operation.</summary>
public sealed class FaultTableTests
{
    private const double DeadlineMilliseconds = 200;
    private const double ToleranceMilliseconds = 50;

    public enum Fault
    {
        OpenFails,
        OpenHangs,
        OpensLateAfterItsCallerLeft,
        DiesIdle,
        DiesInUse,
        ResetFails,
        ResetHangs,
        Freezes,
    }

    public enum Call
    {
        Rent,
        TryRent,
        Open,
        ExecuteNonQuery,
        ExecuteScalar,
        ExecuteReader,
        Read,
        NextResult,
        Begin,
        Commit,
        Rollback,
        Batch,
        Close,
        Dispose,
        ChangeDatabase,
        Clear,
        Drain,
        Resize,
    }

    public static MatrixTheoryData<Fault, Call> Table => new(Enum.GetValues<Fault>(), Enum.GetValues<Call>());

    [Theory]
    [MemberData(nameof(Table))]
    public Task Call_UnderFault_EndsByItsDeadlineAndThePoolIsWholeAfterwards(Fault fault, Call call) =>
        PoolHarness.RunAsync(pool => RunAsync(pool, fault, call), o =>
        {
            o.MaxConnections = 2;
            o.RentTimeout = TimeSpan.FromMilliseconds(DeadlineMilliseconds);
            o.RecoveryTimeout = o.OpenTimeout = TimeSpan.FromMilliseconds(100);
            o.ValidationInterval = o.MaxOpenRetryInterval = TimeSpan.FromMilliseconds(50);
        });

    private static async Task RunAsync(PoolHarness pool, Fault fault, Call call)
    {
        // The connection for the operation, or one that another renter holds.
        bool needsNone = call is Call.Rent or Call.TryRent or Call.Open && fault is Fault.OpenFails or Fault.OpenHangs;
        PooledConnection? held = needsNone ? null : await pool.OpenedAsync();
        bool isAnothers = call is Call.Rent or Call.TryRent or Call.Open or Call.Clear;
        if (isAnothers && held is not null) await held.CreateCommand().ExecuteNonQueryAsync();
        DbTransaction? transaction = call is Call.Commit or Call.Rollback ? await held!.BeginTransactionAsync() : null;
        DbDataReader? reader = call is Call.Read or Call.NextResult or Call.Close or Call.Dispose
            ? await held!.CreateCommand().ExecuteReaderAsync()
            : null;
        await ApplyAsync(pool, fault, held);

        // The other renter returns; the pool must detect the connection's state.
        if (isAnothers) held?.Close();

        if (held is not null) held.Deadline = pool.In(DeadlineMilliseconds);
        Task operation = StartAsync(pool, call, held, transaction, reader);
        if (call is Call.TryRent or Call.Close or Call.Dispose or Call.Clear or Call.Resize)
            Assert.True(operation.IsCompleted, $"{call} waited: {pool.Describe()}");
        for (double at = 0; at < DeadlineMilliseconds + ToleranceMilliseconds && !operation.IsCompleted; at += 10)
            await pool.AdvanceAsync(TimeSpan.FromMilliseconds(10));

        Exception? error = await Record.ExceptionAsync(() => pool.FinishAsync(operation, $"{call} by its deadline"));
        AssertTyped(pool, fault, call, error);
        held?.Dispose();
        if (call == Call.Drain) pool.IsDrained = true;
    }

    private static async Task ApplyAsync(PoolHarness pool, Fault fault, PooledConnection? held)
    {
        switch (fault)
        {
            case Fault.OpenFails:
                pool.Server.Fail(Step.Open);
                break;
            case Fault.OpenHangs:
                pool.Server.Hold(Step.Open);
                break;
            case Fault.OpensLateAfterItsCallerLeft:
                pool.Server.Hold(Step.Open);
                using (var leaves = new CancellationTokenSource())
                {
                    Task<RentOutcome> gone = pool.Rent(token: leaves.Token);
                    await pool.HeldAsync(Step.Open);
                    await leaves.CancelAsync();
                    await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pool.FinishAsync(gone));
                }

                break;
            case Fault.DiesIdle:
                RentOutcome other = await pool.RentedAsync();
                pool.Return(other);
                await pool.UntilAsync("idle", c => c.Idle == 1);
                ((FakePhysicalConnection)other.Connection!).Die();
                pool.Advance(60);
                break;
            case Fault.DiesInUse:
                ((FakePhysicalConnection)held!.Physical).Die();
                break;
            case Fault.ResetFails:
                pool.Server.Fail(Step.Reset, DriverFailure.Statement);
                break;
            case Fault.ResetHangs:
                pool.Server.Hold(Step.Reset);
                break;
            case Fault.Freezes:
                pool.Server.Freeze();
                break;
        }
    }

    private static async Task StartAsync(
        PoolHarness pool, Call call, PooledConnection? held, DbTransaction? transaction, DbDataReader? reader)
    {
        switch (call)
        {
            case Call.Rent:
                RentResult result = await pool.Source.RentAsync(pool.In(DeadlineMilliseconds));
                await using (result.GetConnectionOrThrow())
                    break;
            case Call.TryRent:
                if (pool.Source.TryRent(out PooledConnection? rented)) rented.Dispose();
                break;
            case Call.Open:
                await using (await pool.Source.OpenConnectionAsync())
                    break;
            case Call.ExecuteNonQuery: await held!.CreateCommand().ExecuteNonQueryAsync(); break;
            case Call.ExecuteScalar: await held!.CreateCommand().ExecuteScalarAsync(); break;
            case Call.ExecuteReader:
                await using (await held!.CreateCommand().ExecuteReaderAsync())
                    break;
            case Call.Read: await reader!.ReadAsync(); break;
            case Call.NextResult: await reader!.NextResultAsync(); break;
            case Call.Begin: await held!.BeginTransactionAsync(); break;
            case Call.Commit: await transaction!.CommitAsync(); break;
            case Call.Rollback: await transaction!.RollbackAsync(); break;
            case Call.Batch: await held!.CreateBatch().ExecuteNonQueryAsync(); break;
            case Call.Close: await held!.CloseAsync(); break;
            case Call.Dispose: await held!.DisposeAsync(); break;
            case Call.ChangeDatabase: await held!.ChangeDatabaseAsync("other"); break;
            case Call.Clear: pool.Source.Clear(); break;
            case Call.Drain: await pool.Source.DrainAsync(TimeSpan.FromMilliseconds(100)); break;
            case Call.Resize:
                pool.SetPermits(1);
                pool.SetPermits(0);
                pool.SetPermits(3);
                break;
        }
    }

    private static void AssertTyped(PoolHarness pool, Fault fault, Call call, Exception? error)
    {
        FailureKind? kind = error is null ? null : pool.Source.Classify(error);
        bool sends = call is Call.ExecuteNonQuery or Call.ExecuteScalar or Call.ExecuteReader or Call.Read
            or Call.NextResult or Call.Begin or Call.Commit or Call.Rollback or Call.Batch or Call.ChangeDatabase;
        if (sends)
        {
            FailureKind? expected = (fault, call) switch
            {
                (Fault.Freezes or Fault.DiesInUse, Call.Commit) => FailureKind.OutcomeUnknown,
                (Fault.Freezes, _) => FailureKind.DeadlineExceeded,
                (Fault.DiesInUse, _) => FailureKind.ConnectionLost,
                _ => null,
            };
            Assert.True(expected == kind, $"{expected} expected, but {kind}: {error}");
        }
        else if (call is Call.Rent or Call.Open)
        {
            // A dead or dirty connection must not refuse a rent while another permit is free.
            if (fault is Fault.OpenFails or Fault.OpenHangs) Assert.Equal(FailureKind.Unavailable, kind);
            else if (fault is Fault.Freezes) Assert.IsType<RentRefusedException>(error);
            else Assert.True(error is null, $"{error} {pool.Describe()}");
        }
        else
        {
            Assert.Null(error);
        }
    }
}
