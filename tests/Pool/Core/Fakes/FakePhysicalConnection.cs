using System.Data.Common;

using UPool.Core;

namespace UPool.Tests.Fakes;

/// <summary>One session with the fake server.</summary>
internal sealed class FakePhysicalConnection(FakeConnector server, int id, int serverNumber = 0)
    : PhysicalConnection
{
    private int _closed;

    public override DbConnection Inner => Fake;

    public FakeDbConnection Fake { get; } = new(server, id);

    public override bool CanKill => server.CanKill;

    /// <summary>The credentials that it was opened with.</summary>
    public required string Credentials { get; init; }

    /// <summary>For PoolBooks tests without a server: as if another server answered.</summary>
    public bool Elsewhere { get; set; }

    public override bool IsElsewhere => Elsewhere || serverNumber != server.Present;

    /// <summary>Its current holder, for tests that look for two owners.</summary>
    public object? Owner { get; set; }

    /// <summary>Loses the session; the next call fails.</summary>
    public void Die() => Fake.Die();

    public override Task PingAsync() => Fake.CallAsync(Step.Ping);

    public override async Task ResetAsync()
    {
        if (Fake.Reader is not null) throw new InvalidOperationException("There is an open reader on the connection.");

        await Fake.CallAsync(Step.Reset);

        // As the real one: the session is as new, but the driver's record of a transaction stays.
        Fake.ResetSession();
    }

    public override async Task<bool> IsInTransactionAsync()
    {
        await Fake.CallAsync(Step.Look);
        return Fake.IsInServerTransaction;
    }

    public override async Task MarkTransactionAsync()
    {
        await Fake.CallAsync(Step.Mark);
        Fake.IsMarked = Fake.IsInServerTransaction;
    }

    public override async Task<bool> TakeMarkAsync()
    {
        await Fake.CallAsync(Step.TakeMark);
        bool isThere = Fake.IsMarked;
        Fake.IsMarked = false;
        return isThere;
    }

    public override async Task KillStatementAsync()
    {
        var call = new FakeCall(Step.Kill, Fake);
        server.Arrive(call);
        await call.Task;
        if (RentId != 0) server.Violate($"a kill was answered when connection {id} had its next renter (INV-5)");
        Fake.Interrupt();
    }

    public override async Task CloseAsync()
    {
        if (Interlocked.Exchange(ref _closed, 1) != 0) server.Violate($"connection {id} was closed twice");

        Fake.CloseDriver();
        var call = new FakeCall(Step.Close, Fake);
        server.Arrive(call);
        await call.Task;
        server.EndSession(serverNumber);
    }
}
