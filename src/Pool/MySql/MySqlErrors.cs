using System.Globalization;
using System.Net.Sockets;

using MySqlConnector;

using UPool.Core;

namespace UPool.MySql;

/// <summary>Classifies errors of the server and the driver, and explains them without a secret (INV-8).</summary>
internal static class MySqlErrors
{
    /// <summary>The server does not know the connection id of a KILL: the session is gone.</summary>
    public const MySqlErrorCode NoSuchThread = (MySqlErrorCode)1094;

    /// <summary>The session of a KILL exists, and this account may not end it.</summary>
    public const MySqlErrorCode NotOwner = (MySqlErrorCode)1095;

    /// <summary>The meaning of a failure to the pool.</summary>
    public static DriverFailure Classify(Exception exception)
    {
        switch (exception)
        {
            // The server did not answer, or the driver gave up on it and closed the socket.
            case MySqlException { ErrorCode: MySqlErrorCode.CommandTimeoutExpired } or MySqlException { Number: 0 }:
                return DriverFailure.Connection;
            case MySqlException mysql:
                return RowOf(mysql).Failure;
            case SocketException or IOException:
                return DriverFailure.Connection;

            // The driver throws these if its session is closed during an operation in flight.
            case ObjectDisposedException or NullReferenceException { Source: "MySqlConnector" }:
                return DriverFailure.Connection;
            default:
                return exception.InnerException is { } inner ? Classify(inner) : DriverFailure.None;
        }
    }

    /// <summary>Whether any statement may fail like this: a kill, a time limit of either family, out of memory, or no
    /// answer from the server.</summary>
    public static bool MayMeetAnyStatement(Exception exception) =>
        exception is not MySqlException mysql || RowOf(mysql).MeetsAnyStatement;

    /// <summary>Whether the answer to a commit proves that nothing was committed.</summary>
    public static bool IsCommitRefused(Exception exception) =>
        exception is MySqlException mysql && RowOf(mysql).RefusesCommit;

    /// <summary>Explains a failure in one line, without user, password or the server's own text about either.</summary>
    public static string Explain(Exception exception, string target) => exception switch
    {
        _ when TlsErrors.Explain(exception, target) is { } tls => tls,
        MySqlException { ErrorCode: MySqlErrorCode.UnableToConnectToHost } =>
            $"{target} cannot be reached{Reason(exception)}.",
        MySqlException { Number: 0 } => $"{target}: the connection failed{Reason(exception)}.",
        MySqlException mysql => RowOf(mysql).Words is { } words
            ? words(target, mysql.Number)
            : string.Create(CultureInfo.InvariantCulture, $"{target} answered with error {mysql.Number}."),
        SessionRegisterException register =>
            $"{target}: a session could not register itself in upool_session: {register.Message}",
        SocketException socket => $"{target} cannot be reached ({socket.SocketErrorCode}).",
        _ => $"{target}: {exception.GetType().Name}.",
    };

    private static MySqlErrorRow RowOf(MySqlException exception) =>
        MySqlErrorTable.Find(exception.Number, exception.Message);

    private static string Reason(Exception exception)
    {
        for (Exception? cause = exception.InnerException; cause is not null; cause = cause.InnerException)
        {
            if (cause is SocketException socket) return $" ({socket.SocketErrorCode})";
        }

        return "";
    }
}
