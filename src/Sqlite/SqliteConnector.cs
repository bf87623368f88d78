using System.Data;
using System.Data.Common;

using Microsoft.Data.Sqlite;

using SQLitePCL;

using UPool.Core;

namespace UPool.Sqlite;

/// <summary>
/// Opens a SQLite file. Its operations run on the caller's thread: SQLite offers no other way, a statement of the
/// embedded default takes microseconds, and no production service depends on it.
/// </summary>
internal sealed class SqliteConnector(string path) : IConnector
{
    // SQLITE_BUSY, SQLITE_FULL and the like are answers to a statement; these mean that the file itself is unusable.
    private const int IoError = 10, Corrupt = 11, CannotOpen = 14, NotADatabase = 26;

    private readonly string _connectionString = new SqliteConnectionStringBuilder
    {
        DataSource = path,
        Pooling = false,

        // Seconds that a writer waits for another writer's lock.
        DefaultTimeout = 5,
    }.ConnectionString;

    public SqlDialect Dialect => SqlDialect.Sqlite;

    public string Target => $"SQLite at {path}";

    public string ConnectionString => _connectionString;

    public string DataSource => path;

    public string Database => "main";

    public DbProviderFactory DriverFactory => SqliteFactory.Instance;

    public string? Problem => null;

    public event Action? ProblemFound
    {
        add { }
        remove { }
    }

    public async Task<PhysicalConnection> OpenAsync()
    {
        var connection = new SqlitePhysicalConnection(new SqliteConnection(_connectionString));
        await connection.OpenAsync().ConfigureAwait(false);
        return connection;
    }

    public ICandidate Prepare(string connectionString) =>
        throw new NotSupportedException("This pool's database knows no credentials: there is nothing to change.");

    public DbCommand CreateCommand() => new SqliteCommand();

    public DbBatch? CreateBatch() => null;

    public DbCommand CopyCommand(DbCommand command)
    {
        var copy = new SqliteCommand { CommandText = command.CommandText };

        // Shared, not copied: SQLite has input parameters only, and reads them when the statement begins.
        foreach (SqliteParameter parameter in command.Parameters) copy.Parameters.Add(parameter);
        return copy;
    }

    public DbBatch CopyBatch(DbBatch batch) => throw new InvalidOperationException("bug: a batch over SQLite.");

    // SQLite derives the type from the value.
    public void ApplyColumnType(DbParameter parameter, DataRow column)
    {
    }

    public long LastInsertedId(DbCommand command) => command.Connection is SqliteConnection { Handle: { } handle }
        ? raw.sqlite3_last_insert_rowid(handle)
        : 0;

    public DriverFailure Classify(Exception exception) => exception switch
    {
        SqliteException { SqliteErrorCode: IoError or Corrupt or CannotOpen or NotADatabase } =>
            DriverFailure.Connection,
        SqliteException => DriverFailure.Statement,
        _ => DriverFailure.None,
    };

    public bool IsCommitRefused(Exception exception) => Classify(exception) == DriverFailure.Statement;

    public bool MayMeetAnyStatement(Exception exception) => true;

    public string Explain(Exception exception) => exception is SqliteException sqlite
        ? $"{Target} answered with error {sqlite.SqliteErrorCode}."
        : $"{Target}: {exception.GetType().Name}.";

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
