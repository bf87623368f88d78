using System.Net.Sockets;

using MySqlConnector;

namespace UPool.MySql;

/// <summary>Failures that the driver gives no number, so that only the message identifies them.</summary>
internal static class DriverErrors
{
    /// <summary>
    /// Whether the driver could not send all of a statement, so that the server cannot have executed it. A failure to
    /// read the answer has the driver's own exception type.
    /// </summary>
    public static bool IsSendFailure(Exception exception) =>
        exception is SocketException or IOException
        || (exception is MySqlException { Number: 0 }
            && exception.Message.StartsWith("Error submitting ", StringComparison.Ordinal));

    /// <summary>Whether the driver could not read the data to send for a LOAD DATA LOCAL.</summary>
    public static bool IsOfLocalData(Exception exception) =>
        exception is MySqlException { Number: 0 }
        && exception.Message.StartsWith("Error during LOAD DATA LOCAL", StringComparison.Ordinal);
}
