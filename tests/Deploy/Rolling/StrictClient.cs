using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace UPool.Deploy.Tests.Rolling;

/// <summary>
/// An HTTP client that keeps its connection and never resends a request. HttpClient resends one if its kept connection
/// turns out to be closed, which is the failure that these tests look for.
/// </summary>
/// <param name="server">The server's address.</param>
/// <param name="keeps">Whether to keep the connection for the next request.</param>
internal sealed class StrictClient(IPEndPoint server, bool keeps = true) : IDisposable
{
    private static readonly TimeSpan Patient = TimeSpan.FromSeconds(20);

    private TcpClient? _connection;
    private StreamReader? _reader;

    /// <summary>Returns the status, the body, and for a refusal its reason.</summary>
    /// <exception cref="IOException">The connection was refused, or closed without a reply.</exception>
    public async Task<(int Status, string Body, string Reason)> SendAsync(
        string method, string path, string? json = null)
    {
        using var bound = new CancellationTokenSource(Patient);
        try
        {
            return await SendOnceAsync(method, path, json, bound.Token);
        }
        catch (Exception exception)
        {
            Dispose();
            if (exception is SocketException) throw new IOException("The connection was refused.", exception);
            throw;
        }
    }

    public void Dispose()
    {
        _reader?.Dispose();
        _connection?.Dispose();
        _connection = null;
    }

    private async Task<(int Status, string Body, string Reason)> SendOnceAsync(
        string method, string path, string? json, CancellationToken token)
    {
        bool isNew = _connection is null;
        if (isNew)
        {
            _connection = new TcpClient { NoDelay = true };
            await _connection.ConnectAsync(server, token);
            _reader = new StreamReader(_connection.GetStream(), Encoding.Latin1);
        }

        // Latin-1 throughout: one character is one byte, so lengths agree.
        string body = json ?? "";
        string head = $"{method} {path} HTTP/1.1\r\nHost: upool\r\n"
            + (json is null ? "" : $"Content-Type: application/json\r\nContent-Length: {body.Length}\r\n") + "\r\n";
        await _connection!.GetStream().WriteAsync(Encoding.Latin1.GetBytes(head + body), token);

        string kept = isNew ? "a new" : "a kept";
        string status = await _reader!.ReadLineAsync(token)
            ?? throw new IOException($"{kept} connection was closed without a reply.");
        int length = 0;
        bool closes = !keeps;
        string reason = "";
        while (await _reader.ReadLineAsync(token) is { Length: > 0 } header)
        {
            if (header.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase))
                length = int.Parse(header[15..], CultureInfo.InvariantCulture);
            if (header.StartsWith("UPool-Reason:", StringComparison.OrdinalIgnoreCase)) reason = header[13..].Trim();
            closes |= header.Equals("Connection: close", StringComparison.OrdinalIgnoreCase);
        }

        var text = new char[length];
        if (await _reader.ReadBlockAsync(text, token) < length) throw new IOException("The reply broke off.");

        if (closes) Dispose();
        return (int.Parse(status.Split(' ')[1], CultureInfo.InvariantCulture), new string(text), reason);
    }
}
