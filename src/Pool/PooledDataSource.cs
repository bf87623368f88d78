using System.Data.Common;

namespace UPool;

/// <summary>STUB of the signatures; the real one replaces this file.</summary>
public sealed class PooledDataSource : DbDataSource
{
    /// <summary>Stub.</summary>
    public string Name => throw new NotImplementedException();

    /// <summary>Stub.</summary>
    public SqlDialect Dialect => throw new NotImplementedException();

    /// <summary>Stub.</summary>
    public override string ConnectionString => throw new NotImplementedException();

    /// <summary>Most connections; changes while running.</summary>
    public int MaxConnections { get => throw new NotImplementedException(); set => throw new NotImplementedException(); }

    /// <summary>Rents in order of arrival; waits up to RentTimeout or the deadline, whichever is earlier. The deadline then
    /// also bounds every operation on the connection.</summary>
    public ValueTask<RentResult> RentAsync(Deadline deadline = default, CancellationToken cancellationToken = default) =>
        throw new NotImplementedException();

    /// <summary>Rents at once or not at all.</summary>
    public bool TryRent(out PooledConnection? connection, Deadline deadline = default) => throw new NotImplementedException();

    /// <summary>Opens the first connection(s); does not throw when the database is away (the pool keeps trying).</summary>
    public Task StartAsync(CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Takes no new rents, lets the current ones finish for at most the timeout, closes everything.</summary>
    public Task DrainAsync(TimeSpan timeout) => throw new NotImplementedException();

    /// <summary>Closes all connections opened before now, used ones when they are returned.</summary>
    public void Clear() => throw new NotImplementedException();

    /// <summary>The state of the pool at one moment.</summary>
    public PoolSnapshot Snapshot() => throw new NotImplementedException();

    /// <summary>The pool's health: whether the database answers, and if not why, in one plain line without secrets.</summary>
    public PoolHealth Health => throw new NotImplementedException();

    /// <summary>What an exception of the pool or the driver means.</summary>
    public FailureKind Classify(Exception exception) => throw new NotImplementedException();

    /// <summary>Stub.</summary>
    protected override DbConnection CreateDbConnection() => throw new NotImplementedException();
}

/// <summary>STUB.</summary>
public abstract class PooledConnection : DbConnection;
