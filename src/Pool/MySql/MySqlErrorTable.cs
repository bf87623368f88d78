using System.Collections.Frozen;

using UPool.Core;

namespace UPool.MySql;

/// <summary>The meaning of a server error.</summary>
/// <param name="Numbers">Its numbers in both families, which share most numbers and never use one for two
/// errors.</param>
/// <param name="Failure">Its meaning to the pool and to the request.</param>
internal sealed record MySqlErrorRow(int[] Numbers, DriverFailure Failure)
{
    /// <summary>A part of its text, if one number has several meanings; null for any text.</summary>
    public string? When { get; init; }

    /// <summary>Whether this error as the answer to a commit proves that nothing was committed. Any other error may
    /// follow a commit that took effect (INV-9).</summary>
    public bool RefusesCommit { get; init; }

    /// <summary>Whether any statement can fail with it, however simple.</summary>
    public bool MeetsAnyStatement { get; init; }

    /// <summary>Makes the message from the server's name and the number, without secrets and without the server's own
    /// text. Null for the number alone.</summary>
    public Func<string, int, string>? Words { get; init; }
}

/// <summary>The meanings of all server errors. An error that is not listed is a failed statement.</summary>
internal static class MySqlErrorTable
{
    /// <summary>All rows; of the rows with one number, the first whose text matches applies.</summary>
    public static readonly IReadOnlyList<MySqlErrorRow> Rows =
    [
        // These errors concern the transaction too.
        new([1205], DriverFailure.Statement) { RefusesCommit = true },
        new([1213], DriverFailure.RolledBack) { RefusesCommit = true },
        new([1792, 3100, 3101], DriverFailure.Statement) { RefusesCommit = true },
        new([1180], DriverFailure.Unclear),

        // Out of memory, interrupted, out of time (MariaDB, MySQL).
        new([1037, 1038, 1041, 1317, 1969, 3024], DriverFailure.Statement) { MeetsAnyStatement = true },

        // The server rejects the statement, and the session is unusable: the statement was larger than
        // max_allowed_packet, or was truncated or corrupted on its way; and on MariaDB any statement after an XA
        // PREPARE (1031).
        new([1031, 1153, 1156, 1157, 1158, 1159], DriverFailure.NotTaken),

        // The server could not send the answer: this client read too slowly.
        new([1160, 1161], DriverFailure.SessionLost),

        // The session is gone, and those of its age most likely too: a shutdown, a kill (on MariaDB a shutdown looks
        // like one), idle for too long, and every error number of the client library.
        new([1042, 1053, 1077, 1078, 1079, 1080, 1152, 1184, 1927, 3169, 4031, .. Enumerable.Range(2000, 100)],
            DriverFailure.Connection),

        // A server in another role: read-only after a failover, or a Galera node without its cluster. Error 1290 stands
        // for every option that forbids a statement, so its text decides.
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

        // The account, or access to the server.
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
                $"{server} lets the account do nothing: its password has expired (error {number}). Set a new one "
                + "there.",
        },
        new([3159], DriverFailure.Statement)
        {
            Words = static (server, _) =>
                $"{server} accepts connections over TLS only (error 3159): set SslMode in the connection string.",
        },
        new([3032], DriverFailure.Statement)
        {
            Words = static (server, _) =>
                $"{server} is in offline mode and accepts administrators only (error 3032).",
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

    /// <summary>The meaning of a server error that is in no row.</summary>
    public static readonly MySqlErrorRow Other = new([], DriverFailure.Statement);

    private static readonly FrozenDictionary<int, MySqlErrorRow[]> ByNumber = Rows
        .SelectMany(static row => row.Numbers, static (row, number) => (row, number))
        .GroupBy(static one => one.number, static one => one.row)
        .ToFrozenDictionary(static group => group.Key, static group => group.ToArray());

    /// <summary>Finds the row of an error.</summary>
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
