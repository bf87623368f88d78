using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace UPool.Deploy.Tests.Rolling;

/// <summary>
/// An HTTP client that keeps its connection and never sends a request twice: the framework's own repeats one when a
/// kept connection turns out to be closed, which is the very failure that is looked for here.
/// </summary>
/// <param name="server">Where it connects to.</param>
/// <param name="keeps">Whether it keeps its connection for the next request.</param>
internal sealed class StrictClient(IPEndPoint server, bool keeps = true) : IDisposable
{
    private static readonly TimeSpan Patient = TimeSpan.FromSeconds(20);

    private TcpClient? _connection;
    private StreamReader? _reader;

    /// <summary>The status, the body, and with a refusal its reason.</summary>
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

        // Latin-1 throughout: each character is a byte, and lengths agree.
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
