using System.Data.Common;

using MySqlConnector;

using UPool.Core;

namespace UPool.MySql;

/// <summary>One session with MySQL or MariaDB.</summary>
internal sealed class MySqlPhysicalConnection(
    MySqlConnection inner, SessionFacts facts, KillLane killLane, TablesWithoutTransactions tables)
    : PhysicalConnection
{
    // The server's warning behind a rollback.
    private const int NotRolledBack = 1196;

    // A close that has nothing to read takes microseconds.
    private static readonly TimeSpan CloseGrace = TimeSpan.FromMilliseconds(10);

    // The second close shuts the socket; the third is for a second one that came too early to find the reader closed.
    private const int MaxCloses = 3;

    // A question about a transaction is asked again when it met what may meet any statement: a kill that came late, a
    // limit of the renter's on the time of a statement. Not for ever; without an answer the worse is assumed.
    private const int MaxQuestions = 3;

    // A savepoint of the renter's by this name would be moved.
    private const string Mark = "upool_mark";

    // Whether a reset is followed by the restore without a look. Of the one lane that resets.
    private bool _restoresAlways = facts.AsNew is null;

    public override DbConnection Inner => inner;

    public override bool CanKill => !facts.IsProxied;

    public override bool IsElsewhere => killLane.Server.IsElsewhere(facts.Session);

    /// <summary>Who it is on the server.</summary>
    public ServerSession Session => facts.Session;

    /// <summary>What kind of server it is with.</summary>
    public DatabaseFamily Family => facts.Family;

    /// <summary>The register in which the session still has to be entered, once its table is there; null when it
    /// is.</summary>
    public SessionRegister? ToRegister { get; set; }

    public override DriverFailure Judge(Exception exception, DriverFailure failure)
    {
        if (failure != DriverFailure.Connection) return failure;

        // The driver refuses by itself, before anything is sent: a parameter that is not there.
        if (exception is MySqlException { Number: 0 } && !IsBroken) return DriverFailure.Statement;

        // It gives the session up in the middle of a LOAD DATA LOCAL, for what the caller gave it to send.
        if (DriverErrors.IsOfLocalData(exception)) return DriverFailure.SessionLost;

        // A server ends the session on a statement that is larger than it takes, which looks in several ways as if it
        // had gone. When it was not even sent whole it was not executed.
        if (Running is not { } running || running.Size() < facts.MaxPacket) return failure;
        return DriverErrors.IsSendFailure(exception) ? DriverFailure.NotTaken : DriverFailure.SessionLost;
    }

    public override async Task PingAsync()
    {
        // The driver's ping says false where other operations throw.
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
    /// An ordinary account cannot look at its transaction on MySQL (innodb_trx needs PROCESS), and the driver keeps the
    /// protocol's flag to itself. But both families refuse to change the next transaction's characteristics while one
    /// is open; where none is, the rollback behind it takes that change back.
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
        // Not awaited before the server is asked: a close on a server that hangs may never end, and what frees the
        // permit is the server's word alone (INV-1).
        Task closing = CloseDriverAsync(inner, killLane.Clock);
        if (facts.IsProxied) await closing.ConfigureAwait(false);
        else await killLane.WaitUntilGoneAsync(facts.Session).ConfigureAwait(false);
    }

    /// <summary>
    /// Closes the socket, whatever is under way on it. The driver's close first reads an open result to its end,
    /// without a bound, and beside a read under way: then neither may ever end. A second close finds the reader closed,
    /// goes on to the socket, and with that ends all of them.
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

    /// <summary>Looks whether the reset has left anything to be brought back: seldom, since few renters change the
    /// database or the role.</summary>
    private async Task<bool> IsAsNewAsync()
    {
        using var look = new MySqlCommand(facts.Look, inner);
        string? seen = await look.ExecuteScalarAsync(CancellationToken.None).ConfigureAwait(false) as string;
        if (seen == facts.AsNew) return true;

        // Then a look would be a round trip for nothing each time.
        _restoresAlways = facts.IsOfTheServer(seen);
        return false;
    }

    private MySqlCommand InTransaction(string text) => new(text, inner, Transaction as MySqlTransaction);

    /// <summary>The error with which the server answers; none when it does what it is told.</summary>
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

    // Elsewhere: the driver goes through all rows that have arrived on the thread that calls it.
    private static Task CloseOnceAsync(MySqlConnection connection) => Task.Run(async () =>
    {
        try
        {
            await connection.DisposeAsync().ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            // The driver may trip over an operation that it still had in flight; the session ends all the same.
        }
    });
}
