using System.Data;
using System.Data.Common;
using System.Diagnostics.CodeAnalysis;

using UPool.Core;

namespace UPool.Tests.Fakes;

/// <summary>
/// The driver's connection, as strict as the real one: one operation at a time; no statement beside an open reader or
/// outside its current transaction. A session reset does not end the driver's transaction object.
/// </summary>
internal sealed class FakeDbConnection(FakeConnector server, int id) : DbConnection
{
    private ConnectionState _state = ConnectionState.Open;
    private FakeCall? _inFlight;
    private bool _isDead;
    private List<string>? _uncommitted;
    private string _database = "db";

    public int Id => id;

    public FakeConnector Server => server;

    /// <summary>The driver's record of its transaction.</summary>
    public FakeDbTransaction? Transaction { get; set; }

    /// <summary>The driver's record of its open reader.</summary>
    public FakeDbDataReader? Reader { get; set; }

    /// <summary>Whether the server has an open transaction, whatever the driver's record says.</summary>
    public bool IsInServerTransaction => _uncommitted is not null;

    /// <summary>Whether the savepoint exists; it ends with its transaction.</summary>
    public bool IsMarked { get; set; }

    /// <summary>Whether anything was executed since the session was as new.</summary>
    public bool IsDirty { get; private set; }

    /// <summary>Whether anything but successful SELECTs was executed since the session was as new.</summary>
    public bool IsSpoiled { get; private set; }

    [AllowNull]
    public override string ConnectionString { get; set; } = $"Password={FakeConnector.Secret}";

    public override string Database => _database;

    public override string DataSource => "nowhere";

    public override string ServerVersion => "1.0";

    public override ConnectionState State => _state;

    /// <summary>Loses the session; the next call fails.</summary>
    public void Die()
    {
        Volatile.Write(ref _isDead, true);
        Volatile.Read(ref _inFlight)?.Fail(new FakeDbException(DriverFailure.Connection, "the session is lost"));
    }

    public void ResetSession()
    {
        IsDirty = IsSpoiled = false;
        _uncommitted = null;
    }

    /// <summary>Receives a kill of the running statement.</summary>
    public void Interrupt()
    {
        IsSpoiled = true;
        Volatile.Read(ref _inFlight)?.Fail(new FakeDbException(DriverFailure.Statement, "interrupted"));
    }

    /// <summary>Closes the driver's socket.</summary>
    public void CloseDriver()
    {
        _state = ConnectionState.Closed;
        Volatile.Read(ref _inFlight)?.Fail(new FakeDbException(DriverFailure.Connection, "the driver was closed"));
    }

    /// <summary>One exchange with the server.</summary>
    public Task CallAsync(Step step)
    {
        if (_state != ConnectionState.Open)
            return Task.FromException(new FakeDbException(DriverFailure.Connection, "the connection is closed"));

        var call = new FakeCall(step, this);
        if (Interlocked.CompareExchange(ref _inFlight, call, null) is { } other)
        {
            server.Violate($"{step} on connection {id} during its {other.Step}");
            return Task.FromException(new InvalidOperationException("An operation is under way."));
        }

        server.Arrive(call);
        if (Volatile.Read(ref _isDead)) call.Fail(new FakeDbException(DriverFailure.Connection, "the session is lost"));
        if (!call.Task.IsCompletedSuccessfully || _isDead) return FinishAsync(call);

        Volatile.Write(ref _inFlight, null);
        return Task.CompletedTask;
    }

    public async Task StatementAsync(string text, DbTransaction? transaction, CancellationToken token)
    {
        if (token.CanBeCanceled) server.Violate("the driver saw a caller's token");
        if (Reader is not null) throw new InvalidOperationException("There is an open reader on the connection.");
        if (!ReferenceEquals(transaction, Transaction))
            throw new InvalidOperationException("The command's transaction is not the connection's.");

        server.Executing?.Invoke(this, text);
        IsDirty = true;
        if (!text.StartsWith("SELECT ", StringComparison.Ordinal)) IsSpoiled = true;
        await CallAsync(Step.Statement);
        if (text.StartsWith("CREATE ", StringComparison.Ordinal)) EndServerTransaction(commit: true);
        if (_uncommitted is { } uncommitted) uncommitted.Add(text);
        else server.Apply([text]);
    }

    public void EndServerTransaction(bool commit)
    {
        if (commit && _uncommitted is { } uncommitted) server.Apply(uncommitted);
        _uncommitted = null;
        IsMarked = false;
    }

    protected override async ValueTask<DbTransaction> BeginDbTransactionAsync(
        IsolationLevel isolationLevel, CancellationToken cancellationToken)
    {
        if (cancellationToken.CanBeCanceled) server.Violate("the driver saw a caller's token");
        if (Transaction is not null) throw new InvalidOperationException("Transactions may not be nested.");

        await CallAsync(Step.Begin);
        IsDirty = IsSpoiled = true;
        _uncommitted = [];
        return Transaction = new FakeDbTransaction(this, isolationLevel);
    }

    public override async Task ChangeDatabaseAsync(string databaseName, CancellationToken cancellationToken = default)
    {
        await CallAsync(Step.ChangeDatabase);
        IsDirty = IsSpoiled = true;
        _database = databaseName;
    }

    public override void ChangeDatabase(string databaseName) => server.Violate("the driver was called synchronously");

    public override void Close() => server.Violate("the driver was closed synchronously");

    public override void Open() => server.Violate("the driver was opened synchronously");

    protected override DbTransaction BeginDbTransaction(IsolationLevel isolationLevel) =>
        throw new NotSupportedException();

    protected override DbCommand CreateDbCommand() => new FakeDbCommand { Connection = this };

    private async Task FinishAsync(FakeCall call)
    {
        try
        {
            await call.Task;
            if (_isDead) throw new FakeDbException(DriverFailure.Connection, "the session is lost");
        }
        catch (FakeDbException exception) when (exception.Kind != DriverFailure.Connection)
        {
            IsSpoiled = true;
            if (exception.Kind == DriverFailure.RolledBack) EndServerTransaction(commit: false);
            throw;
        }
        catch (FakeDbException exception) when (exception.Kind == DriverFailure.Connection)
        {
            _state = ConnectionState.Closed;
            throw;
        }
        finally
        {
            Volatile.Write(ref _inFlight, null);
        }
    }
}
