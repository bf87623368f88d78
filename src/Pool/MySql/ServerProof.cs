using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

using MySqlConnector;

namespace UPool.MySql;

/// <summary>
/// Has a server prove who it is before it hears of the account: <c>VerifyCA</c> and <c>VerifyFull</c> are kept here.
/// </summary>
/// <remarks>
/// The driver's own check comes after the log-in, so that a stranger has the answer to its challenge by then. It passes
/// a certificate of a wrong name or an unknown authority if the server confirms it with the hash of the account's
/// password, as MariaDB does from 11.4 ("zero-configuration TLS"; <c>ServerSession.ValidateFingerprint</c> of
/// MySqlConnector 2.4 and newer). Of a chain that ends in <c>SslCa</c> it looks at the last certificate alone. So the
/// driver encrypts (<c>Required</c>), and its callback, which it calls in that mode only, is this one.
/// </remarks>
internal sealed class ServerProof
{
    private const string ServerAuthentication = "1.3.6.1.5.5.7.3.1";

    private const X509ChainStatusFlags Unknown =
        X509ChainStatusFlags.UntrustedRoot | X509ChainStatusFlags.PartialChain | X509ChainStatusFlags.NotSignatureValid;

    // A list of revoked certificates that cannot be had holds up an open for no longer than this.
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

    /// <summary>The driver's builder of data sources, by the user's settings, with the proof that they ask
    /// for.</summary>
    public static MySqlDataSourceBuilder CreateBuilder(MySqlConnectionStringBuilder settings)
    {
        // The driver opens nothing with it in another mode than VerifyFull, which it is not told of.
        var driver = new MySqlConnectionStringBuilder(settings.ConnectionString)
        {
            SkipCertificateRevocationCheck = false,
        };
        if (settings.SslMode is not (MySqlSslMode.VerifyCA or MySqlSslMode.VerifyFull) || IsSocketFile(settings))
            return new MySqlDataSourceBuilder(driver.ConnectionString);

        driver.SslMode = MySqlSslMode.Required;

        // With it the driver would not call back.
        driver.SslCa = "";
        return new MySqlDataSourceBuilder(driver.ConnectionString)
            .UseRemoteCertificateValidationCallback(new ServerProof(settings).Validate);
    }

    /// <summary>Decides about a server's certificate; the driver calls it in the middle of the TLS handshake.</summary>
    /// <exception cref="ServerProofException">The server has not proved who it is; says why.</exception>
    public bool Validate(
        object sender, X509Certificate? certificate, X509Chain? sentChain, SslPolicyErrors errors)
    {
        X509Certificate2Collection authorities = ReadAuthorities();
        if (certificate is not X509Certificate2 server) throw new ServerProofException(ServerProofFault.None);
        if (_checksName && errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch))
            throw new ServerProofException(ServerProofFault.Name);

        // By SslCa first: an authority of one's own keeps no list of revoked certificates that could be asked.
        ServerProofFault? fault = authorities.Count > 0 ? Look(server, sentChain, authorities) : null;
        if (authorities.Count > 0 && fault is null) return true;

        fault = Look(server, sentChain, authorities: null) is { } bySystem ? fault ?? bySystem : null;
        return fault is { } found ? throw new ServerProofException(found) : true;
    }

    // There the file system says who listens, and no certificate has its name.
    private static bool IsSocketFile(MySqlConnectionStringBuilder settings) =>
        settings.ConnectionProtocol == MySqlConnectionProtocol.UnixSocket || settings.Server.StartsWith('/');

    private static ServerProofFault? Describe(X509ChainStatusFlags status) => status switch
    {
        X509ChainStatusFlags.NoError => null,
        _ when status.HasFlag(X509ChainStatusFlags.Revoked) => ServerProofFault.Revoked,

        // A signature that is wrong is one of another authority by the same name.
        _ when (status & Unknown) != 0 => ServerProofFault.Authority,
        _ when status.HasFlag(X509ChainStatusFlags.NotTimeValid) => ServerProofFault.Time,
        _ when (status & ~(X509ChainStatusFlags.RevocationStatusUnknown | X509ChainStatusFlags.OfflineRevocation)) == 0
            => ServerProofFault.Revocation,
        _ => ServerProofFault.Purpose,
    };

    /// <summary>What is wrong with the chain from the server's certificate to a known authority; null when nothing
    /// is.</summary>
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

    // At every open: an authority that is renewed in the file needs no restart.
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
