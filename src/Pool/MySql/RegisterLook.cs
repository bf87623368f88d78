using System.Data.Common;
using System.Globalization;

namespace UPool.MySql;

/// <summary>One look at the register and the process list, in one round trip.</summary>
/// <param name="Look">The result for the caller.</param>
/// <param name="Unlisted">Registered sessions that are not listed, although this account would see them: they are gone,
/// or still counted while they roll back. Only the answer to a KILL distinguishes the two.</param>
internal sealed record RegisterLook(ServerLook Look, IReadOnlyList<ServerSession> Unlisted)
{
    // Replication brings rows of other servers. They prove nothing here, and no process removes the rows of a server
    // that was given up.
    private const string ForeignAge = "1 DAY";

    // A connection that has not logged in yet: MariaDB shows the command, MySQL the user.
    private const string Connecting = "Connect";
    private const string Unauthenticated = "unauthenticated user";

    // The server's own threads: in the process list, but not connections.
    private const string SystemUser = "system user";
    private const string Daemon = "Daemon";

    public static async Task<RegisterLook> TakeAsync(
        PooledConnection connection, SessionRegister register, IReadOnlyCollection<string> accounts, bool isFresh,
        CancellationToken cancellationToken)
    {
        Answers answers = await ReadAsync(connection, register, cancellationToken).ConfigureAwait(false);
        Dictionary<long, Process> listed = answers.Processes.ToDictionary(static process => process.Id);
        Process own = listed.TryGetValue(answers.OwnId, out Process? found)
            ? found
            : throw new InvalidOperationException("The process list does not show the session that asks.");

        // The register is read before the process list, to find sessions that have gone, and after it, to find new
        // ones.
        List<DeploymentSession> sessions = [];
        List<ServerSession> unlisted = [];
        foreach (Row row in answers.Before.Where(row => !IsIn(listed, row)))
        {
            sessions.Add(new DeploymentSession(row.Id, row.Host, row.Incarnation, row.IsControl, answers.Server));
            if (answers.SeesAll || row.Account == own.User)
                unlisted.Add(new ServerSession(row.Id, row.Host, new ServerIdentity(answers.Server)));
        }

        Dictionary<long, Row> registered = answers.After.ToDictionary(static row => row.Id);
        foreach (Process process in answers.Processes)
        {
            Row? row = registered.TryGetValue(process.Id, out Row? one) && one.Host == process.Host ? one : null;
            if (row is not null || accounts.Contains(process.User))
            {
                sessions.Add(new DeploymentSession(
                    process.Id, process.Host, row?.Incarnation, row?.IsControl ?? false, answers.Server));
            }
        }

        var look = new ServerLook(
            answers.Server, answers.Witness, sessions, isFresh && IsSettled(answers, own),
            TimeSpan.FromSeconds(answers.Uptime), answers.MaxConnections);
        return new RegisterLook(look, unlisted);
    }

    /// <summary>
    /// The server gives connection ids in the order of acceptance. It counts an accepted connection before it lists it,
    /// so the counts are compared too. Both are visible only with PROCESS.
    /// </summary>
    private static bool IsSettled(Answers answers, Process own)
    {
        if (!answers.SeesAll) return true;

        List<Process> clients =
            [.. answers.Processes.Where(static one => one.User != SystemUser && one.Command != Daemon)];
        return clients.Count >= answers.Connected
            && !clients.Exists(one => one.Id < own.Id && (one.Command == Connecting || one.User == Unauthenticated));
    }

    private static bool IsIn(Dictionary<long, Process> listed, Row row) =>
        listed.TryGetValue(row.Id, out Process? process) && process.Host == row.Host;

    private static async Task<Answers> ReadAsync(
        PooledConnection connection, SessionRegister register, CancellationToken cancellationToken)
    {
        var physical = (MySqlPhysicalConnection)connection.Physical;
        DatabaseFamily family = physical.Family;
        string server = physical.Session.Server.Name ?? "";
        using DbCommand command = connection.CreateCommand();
        string rows = "SELECT ConnectionId, Host, Account, Incarnation, IsControl "
            + $"FROM {register.QualifiedTable} WHERE Server = @server";
        command.CommandText = $"{register.AddWitness}; "
            + $"DELETE FROM {register.QualifiedTable} "
            + $"WHERE Server <> @server AND Created < NOW() - INTERVAL {ForeignAge}; "
            + $"{rows}; "
            + $"SELECT ID, USER, HOST, COMMAND FROM {family.ProcessList}; "
            + $"{rows}; "
            + "SELECT CONNECTION_ID(), @@GLOBAL.max_connections; "
            + "SHOW GLOBAL STATUS WHERE Variable_name IN ('Threads_connected', 'Uptime'); "
            + "SHOW GRANTS";
        foreach ((string name, string value) in
            ((string, string)[])[("@server", server), ("@witness", SessionRegister.NewWitness())])
        {
            DbParameter parameter = command.CreateParameter();
            (parameter.ParameterName, parameter.Value) = (name, value);
            command.Parameters.Add(parameter);
        }

        using DbDataReader reader =
            await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
        List<Row> before = await ReadAllAsync(reader, ToRow, cancellationToken).ConfigureAwait(false);
        List<Process> processes = await ReadAllAsync(reader, ToProcess, cancellationToken).ConfigureAwait(false);
        List<Row> after = await ReadAllAsync(reader, ToRow, cancellationToken).ConfigureAwait(false);
        (long ownId, int max) = (await ReadAllAsync(
            reader, static r => (r.GetInt64(0), Convert.ToInt32(r.GetValue(1), CultureInfo.InvariantCulture)),
            cancellationToken).ConfigureAwait(false))[0];
        Dictionary<string, int> status = (await ReadAllAsync(
            reader, static r => (Name: r.GetString(0), Value: int.Parse(r.GetString(1), CultureInfo.InvariantCulture)),
            cancellationToken).ConfigureAwait(false)).ToDictionary(
                static one => one.Name, static one => one.Value, StringComparer.OrdinalIgnoreCase);
        List<string> grants = await ReadAllAsync(
            reader, static r => r.GetString(0), cancellationToken).ConfigureAwait(false);

        string start = after.Find(static row => row.Id == SessionRegister.WitnessId)?.Incarnation
            ?? throw new InvalidOperationException("A row that was just written to the register is missing.");
        return new Answers(
            server, start, [.. before.Where(static row => row.Id != SessionRegister.WitnessId)], processes, after,
            ownId, max, status["Threads_connected"], status["Uptime"], AccountRights.Parse(grants).SeesAll);
    }

    private static async Task<List<T>> ReadAllAsync<T>(
        DbDataReader reader, Func<DbDataReader, T> read, CancellationToken cancellationToken)
    {
        List<T> all = [];
        while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false)) all.Add(read(reader));
        await reader.NextResultAsync(cancellationToken).ConfigureAwait(false);
        return all;
    }

    private static Row ToRow(DbDataReader reader) =>
        new(reader.GetInt64(0), reader.GetString(1), reader.GetString(2), reader.GetString(3), reader.GetBoolean(4));

    private static Process ToProcess(DbDataReader reader) => new(
        reader.GetInt64(0), reader.GetString(1), reader.IsDBNull(2) ? "" : reader.GetString(2), reader.GetString(3));

    private sealed record Row(long Id, string Host, string Account, string Incarnation, bool IsControl);

    private sealed record Process(long Id, string User, string Host, string Command);

    private sealed record Answers(
        string Server, string Witness, List<Row> Before, List<Process> Processes, List<Row> After, long OwnId,
        int MaxConnections, int Connected, int Uptime, bool SeesAll);
}
