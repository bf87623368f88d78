using System.Security.Authentication;
using System.Security.Cryptography;

using MySqlConnector;

namespace UPool.MySql;

/// <summary>Why there is no TLS with a server, or no log-in without it. The driver says it in words alone, all under
/// one number.</summary>
internal static class TlsErrors
{
    /// <summary>The failure in one plain line; null when it is none of TLS.</summary>
    public static string? Explain(Exception exception, string target)
    {
        // The driver's own failures; what the server says may hold the same words.
        if (exception is MySqlException { Number: not 0 } answer
            && answer.ErrorCode != MySqlErrorCode.UnableToConnectToHost) return null;

        if (exception is MySqlException && IsOfThePassword(exception.Message))
        {
            return $"{target} takes the password of this account over TLS alone, or under its public key. Use TLS, or "
                + "name the key's file with ServerRsaPublicKeyFile in the connection string.";
        }

        for (Exception? cause = exception; cause is not null; cause = cause.InnerException)
        {
            switch (cause)
            {
                case ServerProofException proof:
                    return $"{target} {Describe(proof.Fault)}";
                case AuthenticationException:
                    return $"{target} and this process found no way to speak TLS with each other.";
                case FileNotFoundException or DirectoryNotFoundException or CryptographicException:
                    return $"{target} {DescribeFile(exception.Message)}";
            }
        }

        // Behind the loop, because these words stand in the driver's other messages of TLS as well.
        if (exception is NotSupportedException)
        {
            return $"{target} has the account log in by a method that the driver does not know (client_ed25519 and "
                + "parsec are such). Give the account another.";
        }

        if (exception is not MySqlException) return null;
        if (exception.Message.Contains("rejected client certificate", StringComparison.Ordinal))
            return $"{target} refuses this process's certificate, or the way that it speaks TLS.";
        if (exception.Message.Contains("ertificate", StringComparison.Ordinal))
            return $"{target} {DescribeFile(exception.Message)}";

        return exception.Message.Contains("SSL", StringComparison.Ordinal)
            ? $"{target} offers no TLS, and beyond this machine it is required. Set it up on the server, or give it up "
                + "with SslMode=None in the connection string."
            : null;
    }

    private static bool IsOfThePassword(string message) =>
        message.StartsWith("Authentication method", StringComparison.Ordinal)
        || message.Contains("RSA public key", StringComparison.Ordinal);

    private static string DescribeFile(string message) =>
        message.Contains("CA Certificate", StringComparison.Ordinal)
            ? Describe(ServerProofFault.AuthorityFile)
            : "was not asked: this process's own certificate (SslCert and SslKey, Certificate File, or the store) "
                + "cannot be read.";

    private static string Describe(ServerProofFault fault) => fault switch
    {
        ServerProofFault.Name =>
            "has a certificate for another name. Use a name that is in it as Server, or a certificate for this one.",
        ServerProofFault.Authority =>
            "has a certificate of an authority that is not known here. Name the authority's file with SslCa in the "
            + "connection string.",
        ServerProofFault.Time =>
            "has a certificate that has run out, or whose time has not begun. Renew it on the server, or set the "
            + "clocks.",
        ServerProofFault.Revoked => "has a certificate that its authority has revoked. Renew it on the server.",
        ServerProofFault.Revocation =>
            "has a certificate of which it cannot be learned here whether it was revoked. Open the way to its "
            + "authority's list, or give the check up with SkipCertificateRevocationCheck=true in the connection "
            + "string.",
        ServerProofFault.AuthorityFile =>
            "was not asked: the file of SslCa in the connection string cannot be read.",
        ServerProofFault.None => "sent no certificate.",
        _ => "has a certificate that is not for use by a server, or that breaks another rule of its authority.",
    };
}
