using System.Data.Common;
using System.Globalization;

using MySqlConnector;

namespace UPool.MySql;

/// <content>Checks at the start that the server lets the control connections do their work.</content>
public sealed partial class ControlConnections
{
    /// <summary>
    /// Checks whether these control connections can see and end the sessions of a pool and, with an incarnation,
    /// whether a budget can be kept on this server. Opens no session beyond the control connections.
    /// </summary>
    /// <param name="poolConnectionString">The pool's connection string.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The first problem, in one line with the action to take; null if there is none.</returns>
    /// <exception cref="DbException">The server could not be asked.</exception>
    /// <exception cref="ArgumentException">The connection string is invalid.</exception>
    public async Task<string?> CheckAsync(
        string poolConnectionString, CancellationToken cancellationToken = default)
    {
        MySqlConnectionStringBuilder pool = MySqlSettings.Derive(poolConnectionString, new PoolOptions());
        bool isOneAccount = string.Equals(pool.UserID, _settings.UserID, StringComparison.Ordinal);
        if (isOneAccount && Register is null) return null;

        string target = MySqlSettings.Describe(_settings);
        if (Register is not null && !IsOneServer(pool))
        {
            return $"{target} serves the control connections, and the pool leads to another server or port: "
                + "both must go through one listener of one server.";
        }

        // A session keeps the rights that it started with, so the check needs a new one.
        _storage.Clear();
        using PooledConnection connection = (await _storage
            .RentAsync(Deadline.After(LookTimeout, _clock), cancellationToken).ConfigureAwait(false))
            .GetConnectionOrThrow();
        string? lacking = isOneAccount ? null
            : await LackingRightsAsync(connection, cancellationToken).ConfigureAwait(false);
        if (lacking is not null)
        {
            return $"{target} gives the account of the control connections no {lacking}, which it needs to see and end "
                + "the sessions of the pool's account. Grant it, or use one account for both.";
        }

        return Register is null ? null
            : await RegisterProblemAsync(connection, target, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Another port may have another accept queue, and then a fresh look would prove nothing.</summary>
    private bool IsOneServer(MySqlConnectionStringBuilder pool) =>
        pool.Port == _settings.Port
        && string.Equals(pool.Server, _settings.Server, StringComparison.OrdinalIgnoreCase);

    private static async Task<string?> LackingRightsAsync(
        PooledConnection connection, CancellationToken cancellationToken)
    {
        using DbCommand command = connection.CreateCommand();
        command.CommandText = "SHOW GRANTS";
        List<string> grants = [];
        using DbDataReader reader =
            await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
        while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false)) grants.Add(reader.GetString(0));

        return AccountRights.Parse(grants) switch
        {
            { SeesAll: false, EndsAll: false } => $"PROCESS and no {FamilyOf(connection).EndingRight}",
            { SeesAll: false } => "PROCESS",
            { EndsAll: false } => FamilyOf(connection).EndingRight,
            _ => null,
        };
    }

    private async Task<string?> RegisterProblemAsync(
        PooledConnection connection, string target, CancellationToken cancellationToken)
    {
        if (!connection.Physical.CanKill)
        {
            return $"{target} is reached through a multiplexing proxy or a local socket, where CONNECTION_ID() does "
                + "not identify a session: no budget can be kept there. Connect to the server itself over TCP.";
        }

        if (FamilyOf(connection).Blindness is { } blindness)
            return $"{target} cannot say when a session is gone: no budget can be kept there. {blindness}";

        string? engine = await TextAsync(
            connection,
            "SELECT ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = @a AND TABLE_NAME = @b",
            _settings.Database, SessionRegister.Table, cancellationToken).ConfigureAwait(false);
        if (engine is null) return $"{target} lacks the table {SessionRegister.Table}: apply the schema.";
        if (!string.Equals(engine, "MEMORY", StringComparison.OrdinalIgnoreCase))
        {
            return $"{target} keeps the table {SessionRegister.Table} with the engine {engine}. It must be MEMORY, so "
                + "that a restart of the server empties it: drop the table and apply the schema.";
        }

        if (!await LaneAnswersAsync(cancellationToken).ConfigureAwait(false)) return LaneProblem;

        ServerSession lane = KillLane.Session;
        string? seen = await TextAsync(
            connection,
            $"SELECT Incarnation FROM {Register!.QualifiedTable} WHERE ConnectionId = @a AND Host = @b",
            lane.Id.ToString(CultureInfo.InvariantCulture), lane.Host, cancellationToken).ConfigureAwait(false);
        return seen == Register.Incarnation
            ? null
            : $"{target}: a row that one session writes into {SessionRegister.Table} is not visible to another one. No "
                + "budget can be kept where several servers answer under one name.";
    }

    private static DatabaseFamily FamilyOf(PooledConnection connection) =>
        ((MySqlPhysicalConnection)connection.Physical).Family;

    private static async Task<string?> TextAsync(
        PooledConnection connection, string text, string a, string b, CancellationToken cancellationToken)
    {
        using DbCommand command = connection.CreateCommand();
        command.CommandText = text;
        foreach ((string name, string value) in ((string, string)[])[("@a", a), ("@b", b)])
        {
            DbParameter parameter = command.CreateParameter();
            parameter.ParameterName = name;
            parameter.Value = value;
            command.Parameters.Add(parameter);
        }

        return await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false) as string;
    }
}
