using System.Security.Authentication;
using System.Security.Cryptography;

using MySqlConnector;

namespace UPool.MySql;

/// <summary>Explains why TLS with a server failed, or a log-in that requires TLS. The driver uses one number for all of
/// these, so only the message identifies them.</summary>
internal static class TlsErrors
{
    /// <summary>The failure in one line; null if it has nothing to do with TLS.</summary>
    public static string? Explain(Exception exception, string target)
    {
        // Only the driver's own failures: an error of the server may contain the same words.
        if (exception is MySqlException { Number: not 0 } answer
            && answer.ErrorCode != MySqlErrorCode.UnableToConnectToHost) return null;

        if (exception is MySqlException && IsOfThePassword(exception.Message))
        {
            return $"{target} accepts the password of this account only over TLS or encrypted with the server's public "
                + "key. Use TLS, or name the key's file with ServerRsaPublicKeyFile in the connection string.";
        }

        for (Exception? cause = exception; cause is not null; cause = cause.InnerException)
        {
            switch (cause)
            {
                case ServerProofException proof:
                    return $"{target} {Describe(proof.Fault)}";
                case AuthenticationException:
                    return $"{target}: the TLS handshake failed.";
                case FileNotFoundException or DirectoryNotFoundException or CryptographicException:
                    return $"{target} {DescribeFile(exception.Message)}";
            }
        }

        // After the loop, because the driver's other TLS messages contain these words too.
        if (exception is NotSupportedException)
        {
            return $"{target} lets the account log in only by a method that the driver does not support, such as "
                + "client_ed25519 or parsec. Give the account another.";
        }

        if (exception is not MySqlException) return null;
        if (exception.Message.Contains("rejected client certificate", StringComparison.Ordinal))
            return $"{target} refuses this process's certificate or its TLS settings.";
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
            "has a certificate that has expired or is not valid yet. Renew it on the server, or correct the clocks.",
        ServerProofFault.Revoked => "has a certificate that its authority has revoked. Renew it on the server.",
        ServerProofFault.Revocation =>
            "has a certificate that cannot be checked for revocation here. Allow access to its authority's revocation "
            + "list, or skip the check with SkipCertificateRevocationCheck=true in the connection string.",
        ServerProofFault.AuthorityFile =>
            "was not asked: the file of SslCa in the connection string cannot be read.",
        ServerProofFault.None => "sent no certificate.",
        _ => "has a certificate that is not for use by a server, or that breaks another rule of its authority.",
    };
}
