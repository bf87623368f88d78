using System.Collections.Frozen;

using UPool.Core;

namespace UPool.MySql;

/// <summary>What an error of the server means.</summary>
/// <param name="Numbers">Its numbers; of both families, which share most and never mean two things by one.</param>
/// <param name="Failure">What it means to the pool and to the request.</param>
internal sealed record MySqlErrorRow(int[] Numbers, DriverFailure Failure)
{
    /// <summary>What its text holds, where one number has several meanings; null for any text.</summary>
    public string? When { get; init; }

    /// <summary>Whether it is a plain no when a commit is answered with it. Any other error may follow a commit that
    /// took effect, so none but these is believed (INV-9).</summary>
    public bool RefusesCommit { get; init; }

    /// <summary>Whether any statement can meet it, however simple.</summary>
    public bool MeetsAnyStatement { get; init; }

    /// <summary>What to say of it, from the server's name and the number: without a secret and without the server's own
    /// words. Null for the number alone.</summary>
    public Func<string, int, string>? Words { get; init; }
}

/// <summary>The one place that says what the servers' errors mean. What is not in it is a failed statement.</summary>
internal static class MySqlErrorTable
{
    /// <summary>All rows; of those with the same number the first whose text fits holds.</summary>
    public static readonly IReadOnlyList<MySqlErrorRow> Rows =
    [
        // The statement failed, and of the transaction the server says more.
        new([1205], DriverFailure.Statement) { RefusesCommit = true },
        new([1213], DriverFailure.RolledBack) { RefusesCommit = true },
        new([1792, 3100, 3101], DriverFailure.Statement) { RefusesCommit = true },
        new([1180], DriverFailure.Unclear),

        // Out of memory, interrupted, out of time (MariaDB, MySQL).
        new([1037, 1038, 1041, 1317, 1969, 3024], DriverFailure.Statement) { MeetsAnyStatement = true },

        // The server did not take the statement, and the session is of no more use: larger than max_allowed_packet, or
        // cut short or mixed up on its way there; and on MariaDB any statement after an XA PREPARE (1031).
        new([1031, 1153, 1156, 1157, 1158, 1159], DriverFailure.NotTaken),

        // The server could not send the answer: this client read too slowly.
        new([1160, 1161], DriverFailure.SessionLost),

        // The session is gone, and those of its age most likely with it: a shutdown, a kill (which a shutdown is too on
        // MariaDB), idle for too long, and whatever the client's library counts among its own errors.
        new([1042, 1053, 1077, 1078, 1079, 1080, 1152, 1184, 1927, 3169, 4031, .. Enumerable.Range(2000, 100)],
            DriverFailure.Connection),

        // A server of another role: read-only after a failover, or a node of Galera without its cluster. The number of
        // the first stands for every option that forbids a statement.
        new([1290], DriverFailure.WrongServer)
        {
            When = "read-only",
            RefusesCommit = true,
            Words = static (server, number) => $"{server} is read-only (error {number}).",
        },
        new([1290], DriverFailure.Statement) { RefusesCommit = true },
        new([1836], DriverFailure.WrongServer)
        {
            RefusesCommit = true,
            Words = static (server, number) => $"{server} is read-only (error {number}).",
        },
        new([1047], DriverFailure.WrongServer)
        {
            When = "WSREP",
            Words = static (server, _) =>
                $"{server} is a node without its cluster (error 1047): it serves nothing until most nodes are back.",
        },

        // No room for one more session.
        new([1040], DriverFailure.NoPermit)
        {
            Words = static (server, _) => $"{server} is at its max_connections (error 1040).",
        },
        new([1203], DriverFailure.NoPermit)
        {
            Words = static (server, number) =>
                $"{server}: the account is at its own limit of connections (error {number}).",
        },
        new([1226], DriverFailure.NoPermit)
        {
            When = "connections",
            Words = static (server, number) =>
                $"{server}: the account is at its own limit of connections (error {number}).",
        },
        new([1226], DriverFailure.Statement)
        {
            Words = static (server, _) =>
                $"{server}: the account is at its own limit of statements in an hour (error 1226).",
        },

        // The account or the way to the server.
        new([1044, 1045, 1698], DriverFailure.Statement)
        {
            Words = static (server, number) =>
                $"{server} refuses the account: wrong user or password, no right to this database, or without the TLS "
                + $"that it requires (error {number}).",
        },
        new([3118, 4151], DriverFailure.Statement)
        {
            Words = static (server, number) => $"{server} has the account locked (error {number}). Unlock it there.",
        },
        new([3955, 4150], DriverFailure.Statement)
        {
            Words = static (server, number) =>
                $"{server} has blocked the account after wrong passwords (error {number}). Unlock it there.",
        },
        new([1820, 1862], DriverFailure.Statement)
        {
            Words = static (server, number) =>
                $"{server} lets the account do nothing: its password has run out (error {number}). Give it a new one "
                + "there.",
        },
        new([3159], DriverFailure.Statement)
        {
            Words = static (server, _) =>
                $"{server} takes connections over TLS alone (error 3159): set SslMode in the connection string.",
        },
        new([3032], DriverFailure.Statement)
        {
            Words = static (server, _) =>
                $"{server} is in offline mode and lets administrators in alone (error 3032).",
        },
        new([1049], DriverFailure.Statement)
        {
            Words = static (server, _) => $"{server} has no such database (error 1049).",
        },
        new([1095], DriverFailure.Statement)
        {
            Words = static (server, _) =>
                $"{server} does not let the control connections end the pool's sessions (error 1095): grant their "
                + "account PROCESS and CONNECTION ADMIN.",
        },
        new([1129], DriverFailure.Statement)
        {
            Words = static (server, _) =>
                $"{server} blocks this host after many connection errors (error 1129); run FLUSH HOSTS there.",
        },
        new([1130], DriverFailure.Statement)
        {
            Words = static (server, _) => $"{server} does not accept connections from this host (error 1130).",
        },
    ];

    /// <summary>What the server's own error means that is in no row.</summary>
    public static readonly MySqlErrorRow Other = new([], DriverFailure.Statement);

    private static readonly FrozenDictionary<int, MySqlErrorRow[]> ByNumber = Rows
        .SelectMany(static row => row.Numbers, static (row, number) => (row, number))
        .GroupBy(static one => one.number, static one => one.row)
        .ToFrozenDictionary(static group => group.Key, static group => group.ToArray());

    /// <summary>The row of an error.</summary>
    public static MySqlErrorRow Find(int number, string text)
    {
        if (!ByNumber.TryGetValue(number, out MySqlErrorRow[]? rows)) return Other;

        foreach (MySqlErrorRow row in rows)
        {
            if (row.When is null || text.Contains(row.When, StringComparison.OrdinalIgnoreCase)) return row;
        }

        return Other;
    }
}
