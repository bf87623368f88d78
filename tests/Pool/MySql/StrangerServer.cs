using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

using UPool.Testing;

namespace UPool.Tests.MySql;

/// <summary>A server that greets as MySQL does, offers TLS with its own certificate, and records what it receives over
/// TLS.</summary>
internal sealed class StrangerServer : IAsyncDisposable
{
    private const int SslRequestBytes = 36;

    // A greeting of protocol 10 that offers TLS: version, id, challenge, capabilities, mysql_native_password.
    private static readonly byte[] Greeting =
    [
        0, 0, 0, 0, 10, .. "8.4.0\0"u8, 7, 0, 0, 0, .. "12345678\0"u8, 0xff, 0xff, 45, 2, 0, 0x0f, 0x80, 21,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, .. "123456789012\0"u8, .. "mysql_native_password\0"u8,
    ];

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly X509Certificate2 _certificate;
    private readonly Task<byte[]> _heard;

    public StrangerServer(TestCertificates certificates)
    {
        _certificate = certificates.LoadServer();
        _listener.Start();
        _heard = ServeAsync();
    }

    public uint Port => (uint)((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>The first client's first message after the TLS handshake.</summary>
    public Task<byte[]> HeardAsync() => _heard.WaitAsync(TimeSpan.FromSeconds(30));

    public async ValueTask DisposeAsync()
    {
        _listener.Stop();
        await Task.WhenAny(_heard);
        _certificate.Dispose();
    }

    private async Task<byte[]> ServeAsync()
    {
        using TcpClient client = await _listener.AcceptTcpClientAsync();
        NetworkStream plain = client.GetStream();
        Greeting[0] = (byte)(Greeting.Length - 4);
        await plain.WriteAsync(Greeting);
        await plain.ReadExactlyAsync(new byte[SslRequestBytes]);
        await using var secure = new SslStream(plain);
        byte[] heard = new byte[1024];
        int count = 0;
        try
        {
            await secure.AuthenticateAsServerAsync(_certificate);
            count = await secure.ReadAsync(heard);
        }
        catch (Exception exception) when (exception is IOException or AuthenticationException)
        {
            // The client closed the connection during the exchange, as it should.
        }

        return heard[..count];
    }
}
