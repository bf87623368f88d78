using System.Globalization;
using System.Net.Sockets;

using MySqlConnector;

using UPool.Core;

namespace UPool.MySql;

/// <summary>What errors of the server and the driver mean, and how to say them without a secret (INV-8).</summary>
internal static class MySqlErrors
{
    /// <summary>The server does not know the connection id of a KILL: the session is gone.</summary>
    public const MySqlErrorCode NoSuchThread = (MySqlErrorCode)1094;

    /// <summary>The session of a KILL is there, and is not this account's to end.</summary>
    public const MySqlErrorCode NotOwner = (MySqlErrorCode)1095;

    /// <summary>What a failure means to the pool.</summary>
    public static DriverFailure Classify(Exception exception)
    {
        switch (exception)
        {
            case MySqlException { ErrorCode: MySqlErrorCode.CommandTimeoutExpired }:
                // The driver gave up on the server and closed the socket.
                return DriverFailure.Connection;
            case MySqlException mysql:
                return ClassifyNumber(mysql);
            case SocketException or IOException or EndOfStreamException:
                return DriverFailure.Connection;

            // What the driver throws when its session is closed under an operation in flight.
            case ObjectDisposedException or NullReferenceException { Source: "MySqlConnector" }:
                return DriverFailure.Connection;
            default:
                return exception.InnerException is { } inner ? Classify(inner) : DriverFailure.None;
        }
    }

    /// <summary>Whether a failure may meet any statement: killed, a time limit of either family, out of
    /// memory.</summary>
    public static bool MayMeetAnyStatement(Exception exception) =>
        exception is not MySqlException { Number: not (1037 or 1038 or 1041 or 1317 or 1969 or 3024) };

    /// <summary>
    /// Whether the answer to a commit is a plain no: lock wait, deadlock, read-only server or transaction, rolled back
    /// by a replication hook. Any other (1180, an interruption, a full disk under the log) may follow a commit that
    /// took effect, so none but these is believed (INV-9).
    /// </summary>
    public static bool IsCommitRefused(Exception exception) =>
        exception is MySqlException { Number: 1205 or 1213 or 1290 or 1792 or 1836 or 3100 or 3101 };

    /// <summary>The failure in one plain line, without user, password or the server's own words about either.</summary>
    public static string Explain(Exception exception, string target) => exception switch
    {
        _ when TlsErrors.Explain(exception, target) is { } tls => tls,
        MySqlException mysql => mysql.Number switch
        {
            1044 or 1045 or 1698 =>
                $"{target} refuses the account: wrong user or password, no right to this database, or without the TLS "
                + $"that it requires (error {mysql.Number}).",
            3118 or 4151 => $"{target} has the account locked (error {mysql.Number}). Unlock it there.",
            3955 or 4150 =>
                $"{target} has blocked the account after wrong passwords (error {mysql.Number}). Unlock it there.",
            1820 or 1862 =>
                $"{target} lets the account do nothing: its password has run out (error {mysql.Number}). Give it a new "
                + "one there.",
            3159 =>
                $"{target} takes connections over TLS alone (error 3159): set SslMode in the connection string.",
            3032 => $"{target} is in offline mode and lets administrators in alone (error 3032).",
            1049 => $"{target} has no such database (error 1049).",
            1095 =>
                $"{target} does not let the control connections end the pool's sessions (error 1095): grant their "
                + "account PROCESS and CONNECTION ADMIN.",
            1040 => $"{target} is at its max_connections (error 1040).",
            1203 or 1226 => $"{target}: the account is at its own limit of connections (error {mysql.Number}).",
            1129 => $"{target} blocks this host after many connection errors (error 1129); run FLUSH HOSTS there.",
            1130 => $"{target} does not accept connections from this host (error 1130).",
            1290 or 1836 => $"{target} is read-only (error {mysql.Number}).",
            (int)MySqlErrorCode.UnableToConnectToHost => $"{target} cannot be reached{Reason(mysql)}.",
            0 => $"{target}: the connection failed{Reason(mysql)}.",
            _ => string.Create(CultureInfo.InvariantCulture, $"{target} answered with error {mysql.Number}."),
        },
        SessionRegisterException register =>
            $"{target}: a session could not register itself in upool_session: {register.Message}",
        SocketException socket => $"{target} cannot be reached ({socket.SocketErrorCode}).",
        _ => $"{target}: {exception.GetType().Name}.",
    };

    private static DriverFailure ClassifyNumber(MySqlException exception) => exception.Number switch
    {
        1180 => DriverFailure.Unclear,

        // Larger than the server takes, or the packets were cut short or mixed up on the way there: it has not executed
        // anything, and ends the session.
        1153 or 1156 or 1157 or 1158 or 1159 => DriverFailure.NotTaken,

        // It could not send the answer: this client read too slowly, or not at all.
        1160 or 1161 => DriverFailure.SessionLost,

        // On MariaDB a session that has prepared an XA transaction refuses every table from then on.
        1031 => DriverFailure.NotTaken,

        // Galera without a quorum: as a server of another role.
        1047 when exception.Message.Contains("WSREP", StringComparison.Ordinal) => DriverFailure.WrongServer,

        // A limit of statements rather than of connections: the session lives.
        1226 when !exception.Message.Contains("connections", StringComparison.Ordinal) => DriverFailure.Statement,
        1040 or 1203 or 1226 => DriverFailure.NoPermit,
        1213 => DriverFailure.RolledBack,
        1836 => DriverFailure.WrongServer,

        // The same number stands for every option that forbids a statement; only this one means a failover.
        1290 => exception.Message.Contains("read-only", StringComparison.OrdinalIgnoreCase)
            ? DriverFailure.WrongServer
            : DriverFailure.Statement,

        // Shutdown in progress, new and normal; killed; aborted; network errors; lost, gone, cannot connect; the
        // client's own 2xxx numbers. 0 is the driver's failure without an answer of the server.
        0 or 1053 or 1077 or 1078 or 1079 or 1080 or 1152 or 1184 or 1927 or 3169
            or 4031 or (>= 2000 and < 2100) => DriverFailure.Connection,

        _ => exception.ErrorCode == MySqlErrorCode.UnableToConnectToHost
            ? DriverFailure.Connection
            : DriverFailure.Statement,
    };

    private static string Reason(Exception exception)
    {
        for (Exception? cause = exception.InnerException; cause is not null; cause = cause.InnerException)
        {
            if (cause is SocketException socket) return $" ({socket.SocketErrorCode})";
        }

        return "";
    }
}
