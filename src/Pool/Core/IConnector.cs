using System.Data;
using System.Data.Common;

namespace UPool.Core;

/// <summary>What the pool needs of a driver. <c>MySql/</c>, <c>UPool.Sqlite</c> and the fakes of tests implement
/// it.</summary>
internal interface IConnector : IAsyncDisposable
{
    /// <summary>The database family.</summary>
    SqlDialect Dialect { get; }

    /// <summary>What is connected to, for people: host, port and database, never a credential.</summary>
    string Target { get; }

    /// <summary>What sessions are opened with, without user and password, as a connection string.</summary>
    string ConnectionString { get; }

    /// <summary>The server's name or address, or the file.</summary>
    string DataSource { get; }

    /// <summary>The database that sessions are opened with.</summary>
    string Database { get; }

    /// <summary>Makes the driver's own objects.</summary>
    DbProviderFactory DriverFactory { get; }

    /// <summary>
    /// Why the server cannot be asked whether closed sessions are gone, in one plain line; null when it can, or when
    /// nobody tried. Their permits are held meanwhile, so the pool may be unable to open anything.
    /// </summary>
    string? Problem { get; }

    /// <summary><see cref="Problem"/> has come up or changed. A handler must neither block nor throw.</summary>
    event Action? ProblemFound;

    /// <summary>
    /// Another server answers than before, or a former one again, and
    /// <see cref="PhysicalConnection.IsElsewhere"/> says so already. A handler must neither block nor throw.
    /// </summary>
    event Action? ServerChanged
    {
        add { }
        remove { }
    }

    /// <summary>
    /// Opens a session. Takes no token and no bound: an open that was sent counts on the server until the server
    /// has answered it, so the pool waits for the answer behind everybody's back (INV-1).
    /// </summary>
    Task<PhysicalConnection> OpenAsync();

    /// <summary>Makes ready to open with another connection string, to the same server and database.</summary>
    /// <exception cref="ArgumentException">It cannot be used, or leads elsewhere; the message holds no value of
    /// it.</exception>
    /// <exception cref="NotSupportedException">This database knows no credentials.</exception>
    ICandidate Prepare(string connectionString);

    /// <summary>Creates a command of the driver, not yet tied to a connection.</summary>
    DbCommand CreateCommand();

    /// <summary>Creates a batch of the driver, not yet tied to a connection; null when the driver has none.</summary>
    DbBatch? CreateBatch();

    /// <summary>Copies a command of the driver, parameters included: what the driver writes into the copy is not seen
    /// in the original.</summary>
    DbCommand CopyCommand(DbCommand command);

    /// <summary>The same for a batch and its commands.</summary>
    DbBatch CopyBatch(DbBatch batch);

    /// <summary>The id that the last execution of this command generated; 0 if none.</summary>
    long LastInsertedId(DbCommand command);

    /// <summary>Gives a parameter the type of a column, of which the driver's schema table has a row.</summary>
    void ApplyColumnType(DbParameter parameter, DataRow column);

    /// <summary>What a failure means that came out of the driver.</summary>
    DriverFailure Classify(Exception exception);

    /// <summary>Whether the server's answer to a commit says for certain that nothing was committed.</summary>
    bool IsCommitRefused(Exception exception);

    /// <summary>Whether a failure may meet any statement, however simple: an interruption, a limit of time or
    /// memory.</summary>
    bool MayMeetAnyStatement(Exception exception);

    /// <summary>The failure in one plain line for an operator, without any secret.</summary>
    string Explain(Exception exception);
}

/// <summary>What a failure of the driver means to the pool.</summary>
internal enum DriverFailure
{
    /// <summary>Not the driver's failure.</summary>
    None,

    /// <summary>The server answered the statement with an error; the session lives.</summary>
    Statement,

    /// <summary>The session is gone or useless, and others of the same age are likely to be.</summary>
    Connection,

    /// <summary>The server did not take the statement and ends the session, for the statement's own sake (larger than
    /// max_allowed_packet): nothing was done, and no other session is the worse for it.</summary>
    NotTaken,

    /// <summary>This session alone is gone; what was sent may have been done.</summary>
    SessionLost,

    /// <summary>The server has no room for one more session (MySQL 1040, 1203, 1226): not broken, no permit.</summary>
    NoPermit,

    /// <summary>The server answers as one that must not be used: read-only after a failover (MySQL 1290,
    /// 1836).</summary>
    WrongServer,

    /// <summary>The server answered the statement with an error and has rolled the whole transaction back (MySQL
    /// 1213); the session lives.</summary>
    RolledBack,

    /// <summary>The server answered with an error that leaves open whether the statement took effect (MySQL 1180); the
    /// session lives.</summary>
    Unclear,
}
