using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace UPool.Testing;

/// <summary>An authority of its own and a server's certificate that it signed, in files; gone when disposed.</summary>
public sealed class TestCertificates : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("upool-tls-");

    /// <summary>Makes both.</summary>
    /// <param name="names">The names and addresses that the server's certificate is for.</param>
    public TestCertificates(params string[] names)
    {
        DateTimeOffset from = TimeProvider.System.GetUtcNow().AddDays(-1);
        DateTimeOffset to = from.AddDays(30);
        using RSA authorityKey = RSA.Create(2048);
        var authority = new CertificateRequest(
            "CN=uPool test authority", authorityKey, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        authority.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using X509Certificate2 signer = authority.CreateSelfSigned(from, to);

        using RSA serverKey = RSA.Create(2048);
        var server = new CertificateRequest(
            "CN=uPool test server", serverKey, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var alternatives = new SubjectAlternativeNameBuilder();
        foreach (string name in names)
        {
            if (IPAddress.TryParse(name, out IPAddress? address)) alternatives.AddIpAddress(address);
            else alternatives.AddDnsName(name);
        }

        server.CertificateExtensions.Add(alternatives.Build());
        using X509Certificate2 signed = server.Create(signer, from, to, RandomNumberGenerator.GetBytes(8));
        File.WriteAllText(Authority, signer.ExportCertificatePem());
        File.WriteAllText(Path.Combine(_folder.FullName, "server.crt"), signed.ExportCertificatePem());
        File.WriteAllText(Path.Combine(_folder.FullName, "server.key"), serverKey.ExportRSAPrivateKeyPem());
    }

    /// <summary>The authority's certificate, for clients.</summary>
    public string Authority => Path.Combine(_folder.FullName, "ca.crt");

    /// <summary>What a MariaDB server is started with to offer TLS.</summary>
    public string[] ServerArguments =>
    [
        $"--ssl-cert={Path.Combine(_folder.FullName, "server.crt")}",
        $"--ssl-key={Path.Combine(_folder.FullName, "server.key")}", $"--ssl-ca={Authority}",
    ];

    /// <summary>Removes the files.</summary>
    public void Dispose() => _folder.Delete(recursive: true);
}
