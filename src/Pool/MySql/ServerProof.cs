using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

using MySqlConnector;

namespace UPool.MySql;

/// <summary>
/// Requires a server to prove its identity before it receives anything about the account: enforces <c>VerifyCA</c> and
/// <c>VerifyFull</c> in place of the driver.
/// </summary>
/// <remarks>
/// The driver's own check comes after the log-in, when an impostor already has the reply to its challenge. It accepts a
/// certificate with a wrong name or an unknown authority if the server confirms it with the hash of the account's
/// password, as MariaDB does from 11.4 ("zero-configuration TLS"; <c>ServerSession.ValidateFingerprint</c> of
/// MySqlConnector 2.4 and newer). Of a chain that ends in <c>SslCa</c> it checks the last certificate only. So the
/// driver only encrypts (<c>Required</c>) and calls this callback, which it does in that mode alone.
/// </remarks>
internal sealed class ServerProof
{
    private const string ServerAuthentication = "1.3.6.1.5.5.7.3.1";

    private const X509ChainStatusFlags Unknown =
        X509ChainStatusFlags.UntrustedRoot | X509ChainStatusFlags.PartialChain | X509ChainStatusFlags.NotSignatureValid;

    // The longest time that an unreachable revocation list delays an open.
    private static readonly TimeSpan RevocationTimeout = TimeSpan.FromSeconds(5);

    private readonly bool _checksName;
    private readonly bool _checksRevocation;
    private readonly string _authorityFile;

    private ServerProof(MySqlConnectionStringBuilder settings)
    {
        _checksName = settings.SslMode == MySqlSslMode.VerifyFull;
        _checksRevocation = _checksName && !settings.SkipCertificateRevocationCheck;
        _authorityFile = settings.SslCa;
    }

    /// <summary>The driver's data source builder for the user's settings, with the proof that they require.</summary>
    public static MySqlDataSourceBuilder CreateBuilder(MySqlConnectionStringBuilder settings)
    {
        // The driver fails every open that has this option in a mode other than VerifyFull, and it is given Required.
        var driver = new MySqlConnectionStringBuilder(settings.ConnectionString)
        {
            SkipCertificateRevocationCheck = false,
        };
        if (settings.SslMode is not (MySqlSslMode.VerifyCA or MySqlSslMode.VerifyFull) || IsSocketFile(settings))
            return new MySqlDataSourceBuilder(driver.ConnectionString);

        driver.SslMode = MySqlSslMode.Required;

        // With SslCa the driver would not call the callback.
        driver.SslCa = "";
        return new MySqlDataSourceBuilder(driver.ConnectionString)
            .UseRemoteCertificateValidationCallback(new ServerProof(settings).Validate);
    }

    /// <summary>Validates a server's certificate; the driver calls it during the TLS handshake.</summary>
    /// <exception cref="ServerProofException">The server has not proved its identity; says why.</exception>
    public bool Validate(
        object sender, X509Certificate? certificate, X509Chain? sentChain, SslPolicyErrors errors)
    {
        X509Certificate2Collection authorities = ReadAuthorities();
        if (certificate is not X509Certificate2 server) throw new ServerProofException(ServerProofFault.None);
        if (_checksName && errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch))
            throw new ServerProofException(ServerProofFault.Name);

        // SslCa first: a private authority publishes no revocation list.
        ServerProofFault? fault = authorities.Count > 0 ? Look(server, sentChain, authorities) : null;
        if (authorities.Count > 0 && fault is null) return true;

        fault = Look(server, sentChain, authorities: null) is { } bySystem ? fault ?? bySystem : null;
        return fault is { } found ? throw new ServerProofException(found) : true;
    }

    // The file system decides which process listens on a socket file, and no certificate names it.
    private static bool IsSocketFile(MySqlConnectionStringBuilder settings) =>
        settings.ConnectionProtocol == MySqlConnectionProtocol.UnixSocket || settings.Server.StartsWith('/');

    private static ServerProofFault? Describe(X509ChainStatusFlags status) => status switch
    {
        X509ChainStatusFlags.NoError => null,
        _ when status.HasFlag(X509ChainStatusFlags.Revoked) => ServerProofFault.Revoked,

        // A wrong signature comes from another authority of the same name.
        _ when (status & Unknown) != 0 => ServerProofFault.Authority,
        _ when status.HasFlag(X509ChainStatusFlags.NotTimeValid) => ServerProofFault.Time,
        _ when (status & ~(X509ChainStatusFlags.RevocationStatusUnknown | X509ChainStatusFlags.OfflineRevocation)) == 0
            => ServerProofFault.Revocation,
        _ => ServerProofFault.Purpose,
    };

    /// <summary>The fault in the chain from the server's certificate to a known authority; null if there is
    /// none.</summary>
    private ServerProofFault? Look(
        X509Certificate2 server, X509Chain? sentChain, X509Certificate2Collection? authorities)
    {
        using var chain = new X509Chain();
        X509ChainPolicy policy = chain.ChainPolicy;
        policy.ApplicationPolicy.Add(new Oid(ServerAuthentication));
        policy.RevocationMode =
            authorities is null && _checksRevocation ? X509RevocationMode.Online : X509RevocationMode.NoCheck;
        policy.UrlRetrievalTimeout = RevocationTimeout;
        if (sentChain is not null) policy.ExtraStore.AddRange(sentChain.ChainPolicy.ExtraStore);
        if (authorities is not null)
        {
            policy.TrustMode = X509ChainTrustMode.CustomRootTrust;
            policy.CustomTrustStore.AddRange(authorities);
            policy.ExtraStore.AddRange(authorities);
        }

        if (chain.Build(server)) return null;

        return Describe(chain.ChainStatus.Aggregate(
            X509ChainStatusFlags.NoError, static (all, one) => all | one.Status)) ?? ServerProofFault.Purpose;
    }

    // Read at every open: an authority renewed in the file needs no restart.
    private X509Certificate2Collection ReadAuthorities()
    {
        var authorities = new X509Certificate2Collection();
        if (_authorityFile.Length == 0) return authorities;

        try
        {
            string text = File.ReadAllText(_authorityFile);
            if (text.Contains("-----BEGIN ", StringComparison.Ordinal)) authorities.ImportFromPem(text);
            else authorities.Add(X509CertificateLoader.LoadCertificateFromFile(_authorityFile));
        }
        catch (Exception exception)
            when (exception is IOException or UnauthorizedAccessException or CryptographicException
                or ArgumentException or NotSupportedException)
        {
            throw new ServerProofException(ServerProofFault.AuthorityFile);
        }

        return authorities.Count > 0 ? authorities : throw new ServerProofException(ServerProofFault.AuthorityFile);
    }
}
