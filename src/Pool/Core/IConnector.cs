using System.Data;
using System.Data.Common;

namespace UPool.Core;

/// <summary>The pool's interface to a driver. <c>MySql/</c>, <c>UPool.Sqlite</c> and the fakes of tests implement
/// it.</summary>
internal interface IConnector : IAsyncDisposable
{
    /// <summary>The database family.</summary>
    SqlDialect Dialect { get; }

    /// <summary>The target in messages: host, port and database, never a credential.</summary>
    string Target { get; }

    /// <summary>The connection string of the sessions, without user and password.</summary>
    string ConnectionString { get; }

    /// <summary>The server's name or address, or the file.</summary>
    string DataSource { get; }

    /// <summary>The database that sessions are opened with.</summary>
    string Database { get; }

    /// <summary>Creates the driver's own objects.</summary>
    DbProviderFactory DriverFactory { get; }

    /// <summary>
    /// Why the server cannot be asked whether closed sessions are gone, in one line; null when it can, or when nothing
    /// has asked yet. Their permits are held meanwhile, so the pool may be unable to open anything.
    /// </summary>
    string? Problem { get; }

    /// <summary><see cref="Problem"/> has appeared or changed. A handler must neither block nor throw.</summary>
    event Action? ProblemFound;

    /// <summary>
    /// Another server answers than before, or a former one again. <see cref="PhysicalConnection.IsElsewhere"/> is up to
    /// date already. A handler must neither block nor throw.
    /// </summary>
    event Action? ServerChanged
    {
        add { }
        remove { }
    }

    /// <summary>
    /// Opens a session. Takes no token and no timeout: an open that was sent counts on the server until the server has
    /// answered it, so the pool waits for the answer in the background (INV-1).
    /// </summary>
    Task<PhysicalConnection> OpenAsync();

    /// <summary>Prepares to open with another connection string, to the same server and database.</summary>
    /// <exception cref="ArgumentException">The connection string cannot be used, or leads elsewhere; the message holds
    /// no value of it.</exception>
    /// <exception cref="NotSupportedException">This database has no credentials.</exception>
    ICandidate Prepare(string connectionString);

    /// <summary>Creates a command of the driver, not yet tied to a connection.</summary>
    DbCommand CreateCommand();

    /// <summary>Creates a batch of the driver, not yet tied to a connection; null when the driver has none.</summary>
    DbBatch? CreateBatch();

    /// <summary>Copies a command of the driver with its parameters; writing to the copy does not change the
    /// original.</summary>
    DbCommand CopyCommand(DbCommand command);

    /// <summary>The same for a batch and its commands.</summary>
    DbBatch CopyBatch(DbBatch batch);

    /// <summary>The id that the last execution of this command generated; 0 if none.</summary>
    long LastInsertedId(DbCommand command);

    /// <summary>Gives a parameter the type of a column, from the column's row in the driver's schema table.</summary>
    void ApplyColumnType(DbParameter parameter, DataRow column);

    /// <summary>The meaning of a failure that the driver threw.</summary>
    DriverFailure Classify(Exception exception);

    /// <summary>Whether the server's answer to a commit proves that nothing was committed.</summary>
    bool IsCommitRefused(Exception exception);

    /// <summary>Whether a failure may hit any statement, however simple: an interruption, a time or memory
    /// limit.</summary>
    bool MayMeetAnyStatement(Exception exception);

    /// <summary>The failure in one line for an operator, without any secret.</summary>
    string Explain(Exception exception);
}

/// <summary>The meaning of a driver's failure for the pool.</summary>
internal enum DriverFailure
{
    /// <summary>Not the driver's failure.</summary>
    None,

    /// <summary>The server answered the statement with an error; the session lives.</summary>
    Statement,

    /// <summary>The session is gone or unusable, and others of the same age are likely to be.</summary>
    Connection,

    /// <summary>The server rejects the statement and ends the session, because of the statement itself (larger than
    /// max_allowed_packet): nothing was executed, and other sessions are not affected.</summary>
    NotTaken,

    /// <summary>Only this session is gone; the statement may have been executed.</summary>
    SessionLost,

    /// <summary>The server has no room for one more session (MySQL 1040, 1203, 1226): it is full, not broken.</summary>
    NoPermit,

    /// <summary>The server answers but must not be used: read-only after a failover (MySQL 1290, 1836).</summary>
    WrongServer,

    /// <summary>The server answered the statement with an error and has rolled the whole transaction back (MySQL
    /// 1213); the session lives.</summary>
    RolledBack,

    /// <summary>The server answered with an error that leaves open whether the statement took effect (MySQL 1180); the
    /// session lives.</summary>
    Unclear,
}
