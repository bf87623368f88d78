using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace UPool.Testing;

/// <summary>A private certificate authority and a server certificate that it signed, in files; disposing deletes
/// them.</summary>
public sealed class TestCertificates : IDisposable
{
    private const string OfServer = "1.3.6.1.5.5.7.3.1";
    private const string OfClient = "1.3.6.1.5.5.7.3.2";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("upool-tls-");

    /// <summary>Creates both certificates.</summary>
    /// <param name="names">The names and addresses of the server certificate.</param>
    public TestCertificates(params string[] names)
        : this(names, from: TimeSpan.FromDays(-1), to: TimeSpan.FromDays(30), isThroughAnother: false, OfServer)
    {
    }

    private TestCertificates(string[] names, TimeSpan from, TimeSpan to, bool isThroughAnother, string use)
    {
        DateTimeOffset now = TimeProvider.System.GetUtcNow();
        DateTimeOffset first = now.AddDays(-30), last = now.AddDays(60);
        using RSA rootKey = RSA.Create(2048);
        CertificateRequest root = Request("CN=uPool test authority", rootKey, isAuthority: true);
        using X509Certificate2 authority = root.CreateSelfSigned(first, last);

        using RSA middleKey = RSA.Create(2048);
        CertificateRequest middle = Request("CN=uPool test authority below", middleKey, isAuthority: true);
        using X509Certificate2 below =
            middle.Create(authority, first, last, RandomNumberGenerator.GetBytes(8)).CopyWithPrivateKey(middleKey);

        using RSA serverKey = RSA.Create(2048);
        CertificateRequest server = Request("CN=uPool test server", serverKey, isAuthority: false);
        var alternatives = new SubjectAlternativeNameBuilder();
        foreach (string name in names)
        {
            if (IPAddress.TryParse(name, out IPAddress? address)) alternatives.AddIpAddress(address);
            else alternatives.AddDnsName(name);
        }

        server.CertificateExtensions.Add(alternatives.Build());
        server.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(use)], critical: false));
        using X509Certificate2 signed = server.Create(
            isThroughAnother ? below : authority, now + from, now + to, RandomNumberGenerator.GetBytes(8));
        File.WriteAllText(Authority, authority.ExportCertificatePem());
        File.WriteAllText(
            InFolder("server.crt"),
            signed.ExportCertificatePem() + (isThroughAnother ? $"\n{below.ExportCertificatePem()}" : ""));
        File.WriteAllText(InFolder("server.key"), serverKey.ExportRSAPrivateKeyPem());
    }

    /// <summary>The authority's certificate, for clients.</summary>
    public string Authority => InFolder("ca.crt");

    /// <summary>The arguments with which a server offers TLS. It also sends the authority's certificate.</summary>
    public string[] ServerArguments =>
        [$"--ssl-cert={InFolder("server.crt")}", $"--ssl-key={InFolder("server.key")}", $"--ssl-ca={Authority}"];

    /// <summary>The server certificate with its key, for a test's own server.</summary>
    public X509Certificate2 LoadServer() => X509CertificateLoader.LoadPkcs12(
        X509Certificate2.CreateFromPemFile(InFolder("server.crt"), InFolder("server.key")).Export(X509ContentType.Pfx),
        password: null);

    /// <summary>A server certificate that expired an hour ago; its authority's is valid.</summary>
    public static TestCertificates RunOut(params string[] names) =>
        new(names, from: TimeSpan.FromDays(-10), to: TimeSpan.FromHours(-1), isThroughAnother: false, OfServer);

    /// <summary>A server certificate that becomes valid tomorrow.</summary>
    public static TestCertificates NotBegun(params string[] names) =>
        new(names, from: TimeSpan.FromDays(1), to: TimeSpan.FromDays(10), isThroughAnother: false, OfServer);

    /// <summary>A server certificate of an intermediate authority, whose certificate the server sends too.</summary>
    public static TestCertificates ThroughAnother(params string[] names) =>
        new(names, from: TimeSpan.FromDays(-1), to: TimeSpan.FromDays(30), isThroughAnother: true, OfServer);

    /// <summary>A certificate that its authority issued for client use only.</summary>
    public static TestCertificates ForAClient(params string[] names) =>
        new(names, from: TimeSpan.FromDays(-1), to: TimeSpan.FromDays(30), isThroughAnother: false, OfClient);

    /// <summary>Removes the files.</summary>
    public void Dispose() => _folder.Delete(recursive: true);

    private static CertificateRequest Request(string name, RSA key, bool isAuthority)
    {
        var request = new CertificateRequest(name, key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(isAuthority, false, 0, true));
        return request;
    }

    private string InFolder(string name) => Path.Combine(_folder.FullName, name);
}
