using System.Security.Authentication;

using MySqlConnector;

namespace UPool.MySql;

/// <summary>Why a server could not prove who it is. The driver says it in words alone, all under one number.</summary>
internal static class TlsErrors
{
    /// <summary>The failure in one plain line; null when it is none of TLS.</summary>
    public static string? Explain(MySqlException exception, string target)
    {
        // The driver's own failures; what the server says may hold the same words.
        if (exception.Number != 0 && exception.ErrorCode != MySqlErrorCode.UnableToConnectToHost) return null;

        for (Exception? cause = exception.InnerException; cause is not null; cause = cause.InnerException)
        {
            if (cause is AuthenticationException) return $"{target} {Describe(cause.Message)}";
        }

        // Behind the loop, because these two words stand in the driver's other messages of TLS as well.
        if (exception.Message.Contains("Certificate", StringComparison.Ordinal))
            return $"{target} was not asked: the file of SslCa in the connection string cannot be read.";

        return exception.Message.Contains("SSL", StringComparison.Ordinal)
            ? $"{target} offers no TLS, and beyond this machine it is required. Set it up on the server, or give it up "
                + "with SslMode=None in the connection string."
            : null;
    }

    private static string Describe(string message) =>
        message.Contains("RemoteCertificateNameMismatch", StringComparison.Ordinal)
            ? "has a certificate for another name. Use a name that is in it as Server, or a certificate for this one."
            : message.Contains("RemoteCertificateChainErrors", StringComparison.Ordinal)
            ? "has a certificate of an authority that is not known here, or one that has run out. Name the authority's "
                + "file with SslCa in the connection string."
            : "and this process found no way to speak TLS with each other.";
}
