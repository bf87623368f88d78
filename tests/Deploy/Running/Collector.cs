using System.Collections.Concurrent;
using System.Net;
using System.Text;

using UPool.Testing;

namespace UPool.Deploy.Tests.Running;

/// <summary>A received span.</summary>
internal sealed record Span(
    string TraceId, string SpanId, string ParentId, string Name, IReadOnlyDictionary<string, string> Attributes);

/// <summary>Receives traces over OTLP/HTTP as a collector does, and keeps the parts that the tests read.</summary>
internal sealed class Collector : IAsyncDisposable
{
    private readonly HttpListener _listener = new();
    private readonly ConcurrentQueue<Span> _spans = new();
    private readonly Task _serving;

    public Collector()
    {
        Url = $"http://127.0.0.1:{FreePort.Next()}/";
        _listener.Prefixes.Add(Url);
        _listener.Start();
        _serving = Task.Run(ServeAsync);
    }

    public string Url { get; }

    public IReadOnlyCollection<Span> Spans => _spans;

    /// <summary>All received bytes, read as text; must contain no secret and no value.</summary>
    public StringBuilder Raw { get; } = new();

    public async ValueTask DisposeAsync()
    {
        _listener.Close();
        await _serving;
    }

    private async Task ServeAsync()
    {
        while (_listener.IsListening)
        {
            HttpListenerContext context;
            try
            {
                context = await _listener.GetContextAsync();
            }
            catch (Exception exception) when (exception is HttpListenerException or ObjectDisposedException)
            {
                return;
            }

            using var body = new MemoryStream();
            await context.Request.InputStream.CopyToAsync(body);
            lock (Raw) Raw.Append(Encoding.Latin1.GetString(body.ToArray()));
            if (context.Request.Url!.AbsolutePath == "/v1/traces") Read(body.ToArray());
            context.Response.Close();
        }
    }

    // ExportTraceServiceRequest: resource_spans = 1 / scope_spans = 2 / spans = 2.
    private void Read(byte[] message)
    {
        foreach ((_, byte[] resource) in Fields(message).Where(static field => field.Number == 1))
            foreach ((_, byte[] scope) in Fields(resource).Where(static field => field.Number == 2))
                foreach ((_, byte[] span) in Fields(scope).Where(static field => field.Number == 2))
                    _spans.Enqueue(ReadSpan(span));
    }

    // Span: trace_id = 1, span_id = 2, parent_span_id = 4, name = 5, attributes = 9 (key = 1, value = 2).
    private static Span ReadSpan(byte[] message)
    {
        ILookup<int, byte[]> fields = Fields(message).ToLookup(field => field.Number, field => field.Bytes);
        var attributes = new Dictionary<string, string>();
        foreach (byte[] attribute in fields[9])
        {
            ILookup<int, byte[]> pair = Fields(attribute).ToLookup(field => field.Number, field => field.Bytes);
            attributes[Text(pair[1])] =
                string.Join(',', Fields(pair[2].First()).Select(value => Encoding.UTF8.GetString(value.Bytes)));
        }

        return new Span(Hex(fields[1]), Hex(fields[2]), Hex(fields[4]), Text(fields[5]), attributes);
    }

    private static string Hex(IEnumerable<byte[]> bytes) => Convert.ToHexString(bytes.FirstOrDefault() ?? []);

    private static string Text(IEnumerable<byte[]> bytes) => Encoding.UTF8.GetString(bytes.FirstOrDefault() ?? []);

    // Protocol buffers: each field is a tag whose lowest three bits select a varint, eight bytes, length-prefixed
    // bytes, or four bytes.
    private static List<(int Number, byte[] Bytes)> Fields(byte[] message)
    {
        var fields = new List<(int, byte[])>();
        int at = 0;
        while (at < message.Length)
        {
            ulong tag = ReadNumber(message, ref at);
            int length = (tag & 7) switch
            {
                0 => NumberLength(message, at),
                1 => 8,
                2 => (int)ReadNumber(message, ref at),
                5 => 4,
                _ => throw new FormatException($"Wire type {tag & 7} is not known."),
            };
            fields.Add(((int)(tag >> 3), message[at..(at + length)]));
            at += length;
        }

        return fields;
    }

    private static int NumberLength(byte[] message, int at)
    {
        int end = at;
        ReadNumber(message, ref end);
        return end - at;
    }

    private static ulong ReadNumber(byte[] message, ref int at)
    {
        ulong number = 0;
        for (int shift = 0; ; shift += 7)
        {
            byte one = message[at++];
            number |= (ulong)(one & 0x7F) << shift;
            if (one < 0x80) return number;
        }
    }
}
