using System.Data.Common;

using MySqlConnector;

using UPool.Core;

namespace UPool.MySql;

/// <summary>One session with MySQL or MariaDB.</summary>
internal sealed class MySqlPhysicalConnection(
    MySqlConnection inner, SessionFacts facts, KillLane killLane, TablesWithoutTransactions tables)
    : PhysicalConnection
{
    // The server's warning after a rollback that could not undo every change.
    private const int NotRolledBack = 1196;

    // A close that has nothing to read takes microseconds.
    private static readonly TimeSpan CloseGrace = TimeSpan.FromMilliseconds(10);

    // The second close shuts the socket. The third is for a second one that ran before the first had closed the reader.
    private const int MaxCloses = 3;

    // A question about a transaction is repeated after an error that any statement may meet: a late kill, the renter's
    // own time limit on statements. After this many attempts the worse answer is assumed.
    private const int MaxQuestions = 3;

    // A renter's savepoint of this name would be moved.
    private const string Mark = "upool_mark";

    // Whether every reset is followed by the restore without a look. Used only by the operation that resets.
    private bool _restoresAlways = facts.AsNew is null;

    public override DbConnection Inner => inner;

    public override bool CanKill => !facts.IsProxied;

    public override bool IsElsewhere => killLane.Server.IsElsewhere(facts.Session);

    /// <summary>Its identity on the server.</summary>
    public ServerSession Session => facts.Session;

    /// <summary>The server's family.</summary>
    public DatabaseFamily Family => facts.Family;

    /// <summary>The register that the session must still enter, once the table exists; null if it is
    /// registered.</summary>
    public SessionRegister? ToRegister { get; set; }

    public override DriverFailure Judge(Exception exception, DriverFailure failure)
    {
        if (failure != DriverFailure.Connection) return failure;

        // The driver itself rejects the statement before it sends anything: for example, a parameter is missing.
        if (exception is MySqlException { Number: 0 } && !IsBroken) return DriverFailure.Statement;

        // The driver gives the session up during a LOAD DATA LOCAL because it cannot read the caller's data.
        if (DriverErrors.IsOfLocalData(exception)) return DriverFailure.SessionLost;

        // A server ends the session on a statement larger than its limit, which can look like a lost server in several
        // ways. A statement that was not sent whole was not executed.
        if (Running is not { } running || running.Size() < facts.MaxPacket) return failure;
        return DriverErrors.IsSendFailure(exception) ? DriverFailure.NotTaken : DriverFailure.SessionLost;
    }

    public override async Task PingAsync()
    {
        // The driver's ping returns false where other operations throw.
        if (!await inner.PingAsync(CancellationToken.None).ConfigureAwait(false))
            throw new IOException("The session did not answer a ping.");
    }

    public override async Task ResetAsync()
    {
        await inner.ResetConnectionAsync(CancellationToken.None).ConfigureAwait(false);
        if (_restoresAlways || !await IsAsNewAsync().ConfigureAwait(false))
        {
            using var restore = new MySqlCommand(facts.Restore, inner);
            await restore.ExecuteNonQueryAsync(CancellationToken.None).ConfigureAwait(false);
        }

        if (ToRegister is null) return;

        string? witness = await ToRegister.TryAddControlAsync(inner, facts).ConfigureAwait(false);
        if (witness is not null) ToRegister = null;
    }

    /// <summary>
    /// On MySQL an ordinary account cannot look up its transaction (innodb_trx needs PROCESS), and the driver does not
    /// expose the protocol's flag. But both families refuse to change the next transaction's characteristics while a
    /// transaction is open. If none is open, the ROLLBACK that follows reverts that change.
    /// </summary>
    public override async Task<bool> IsInTransactionAsync() =>
        await AskAsync("SET TRANSACTION READ WRITE; ROLLBACK").ConfigureAwait(false)
            == MySqlErrorCode.CannotChangeTransactionIsolation;

    public override async Task MarkTransactionAsync()
    {
        using MySqlCommand command = InTransaction($"SAVEPOINT {Mark}");
        await command.ExecuteNonQueryAsync(CancellationToken.None).ConfigureAwait(false);
    }

    public override async Task<bool> TakeMarkAsync() =>
        await AskAsync($"RELEASE SAVEPOINT {Mark}").ConfigureAwait(false) == MySqlErrorCode.None;

    public override async Task<bool> HasKeptPartAsync()
    {
        using var command = new MySqlCommand("SHOW WARNINGS", inner);
        using MySqlDataReader reader = await command.ExecuteReaderAsync(CancellationToken.None).ConfigureAwait(false);
        bool hasKept = false;
        while (await reader.ReadAsync(CancellationToken.None).ConfigureAwait(false))
            hasKept |= reader.GetInt32(1) == NotRolledBack;
        return hasKept;
    }

    public override Task<bool> MayKeepPartAsync(string text) => tables.MayBeReachedAsync(inner, text);

    public override Task KillStatementAsync() =>
        CanKill ? killLane.KillStatementAsync(facts.Session) : Task.CompletedTask;

    public override async Task CloseAsync()
    {
        // Ask the server without awaiting this close: on a server that hangs it may never end, and only the server's
        // confirmation frees the permit (INV-1).
        Task closing = CloseDriverAsync(inner, killLane.Clock);
        if (facts.IsProxied) await closing.ConfigureAwait(false);
        else await killLane.WaitUntilGoneAsync(facts.Session).ConfigureAwait(false);
    }

    /// <summary>
    /// Closes the socket, whatever is in flight on it. The driver's close first reads an open result to its end,
    /// without a timeout, even beside a concurrent read: then neither may ever end. A second close finds the reader
    /// closed, goes on to the socket, and so ends all of them.
    /// </summary>
    public static async Task CloseDriverAsync(MySqlConnection connection, TimeProvider clock)
    {
        Task close = CloseOnceAsync(connection);
        for (int closes = 1; closes < MaxCloses; closes++)
        {
            if (await close.EndsWithinAsync(CloseGrace, clock).ConfigureAwait(false)) return;

            close = CloseOnceAsync(connection);
        }

        await close.ConfigureAwait(false);
    }

    /// <summary>Whether the reset has left nothing to restore: the usual case, since few renters change the database or
    /// the role.</summary>
    private async Task<bool> IsAsNewAsync()
    {
        using var look = new MySqlCommand(facts.Look, inner);
        string? seen = await look.ExecuteScalarAsync(CancellationToken.None).ConfigureAwait(false) as string;
        if (seen == facts.AsNew) return true;

        // If the server's defaults cause the difference, a look after each reset would be a wasted round trip.
        _restoresAlways = facts.IsOfTheServer(seen);
        return false;
    }

    private MySqlCommand InTransaction(string text) => new(text, inner, Transaction as MySqlTransaction);

    /// <summary>The error of the server's answer; <see cref="MySqlErrorCode.None"/> if the statement
    /// succeeds.</summary>
    private async Task<MySqlErrorCode> AskAsync(string text)
    {
        for (int asked = 1; ; asked++)
        {
            using MySqlCommand command = InTransaction(text);
            try
            {
                await command.ExecuteNonQueryAsync(CancellationToken.None).ConfigureAwait(false);
                return MySqlErrorCode.None;
            }
            catch (MySqlException exception) when (MySqlErrors.Classify(exception) != DriverFailure.Connection)
            {
                if (asked == MaxQuestions || !MySqlErrors.MayMeetAnyStatement(exception)) return exception.ErrorCode;
            }
        }
    }

    // On another thread: the driver reads all rows that have arrived on the calling thread.
    private static Task CloseOnceAsync(MySqlConnection connection) => Task.Run(async () =>
    {
        try
        {
            await connection.DisposeAsync().ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            // The driver may fail on an operation that was still in flight; the session ends all the same.
        }
    });
}
