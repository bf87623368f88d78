using System.Buffers;
using System.IO.Pipelines;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;

namespace UPool.Management;

/// <summary>Writes envelopes.</summary>
public static class EnvelopeResponse
{
    // The bodies are made by serializers, whose nesting is right by construction.
    private static readonly JsonWriterOptions WriterOptions = new()
    {
        Encoder = EnvelopeEncoder.Instance,
        SkipValidation = true,
    };

    // One for each thread, used between two awaits only.
    [ThreadStatic]
    private static Utf8JsonWriter? _writer;

    /// <summary>Replies with a message alone; its code is 1 below status 400 and 0 from there on.</summary>
    public static Task WriteAsync(HttpContext context, int status, string message) =>
        WriteAsync(context, status, new Envelope(status < 400 ? 1 : 0, message), ManagementJson.Default.Envelope);

    /// <summary>Replies with a body. To HEAD with the same headers and no body.</summary>
    public static Task WriteAsync<T>(HttpContext context, int status, T body, JsonTypeInfo<T> type) =>
        WriteAsync(
            context, status, (body, type), static (json, it) => JsonSerializer.Serialize(json, it.body, it.type));

    /// <summary>The same with a body that the caller writes.</summary>
    /// <param name="context">The request.</param>
    /// <param name="status">The status.</param>
    /// <param name="body">What to write.</param>
    /// <param name="write">Writes it, whole, as one JSON value.</param>
    public static async Task WriteAsync<T>(
        HttpContext context, int status, T body, Action<Utf8JsonWriter, T> write)
    {
        HttpResponse response = Head(context, status);
        if (HttpMethods.IsHead(context.Request.Method))
        {
            response.ContentLength = Serialize(new ArrayBufferWriter<byte>(), body, write);
            return;
        }

        // The whole body is made before the first byte leaves: its length is known, and nothing is sent half.
        // Bounded by UPool:Http:MaxRows.
        PipeWriter output = response.BodyWriter;
        response.ContentLength = Serialize(output, body, write);
        await output.FlushAsync(context.RequestAborted);
    }

    /// <summary>
    /// The same with a body that is UTF-8 already. As its length is known, the headers go first and it is copied once,
    /// into the buffer that is sent; a body that is made before its headers is copied once more.
    /// </summary>
    /// <param name="context">The request.</param>
    /// <param name="status">The status.</param>
    /// <param name="body">What to write.</param>
    /// <param name="length">Its bytes, to the last one.</param>
    /// <param name="write">Writes it, whole, as one JSON value.</param>
    public static async Task WriteAsync<T>(
        HttpContext context, int status, T body, long length, Action<IBufferWriter<byte>, T> write)
    {
        HttpResponse response = Head(context, status);
        response.ContentLength = length;
        if (HttpMethods.IsHead(context.Request.Method)) return;

        await response.StartAsync(context.RequestAborted);
        PipeWriter output = response.BodyWriter;
        write(output, body);
        await output.FlushAsync(context.RequestAborted);
    }

    /// <summary>
    /// Says that the connection ends with this reply: what the client has still to send of its request will not be
    /// read, and a client that was not told would lose its next request on that connection.
    /// </summary>
    public static void CloseAfter(HttpContext context)
    {
        // Later versions of HTTP end a stream instead, and know no such header.
        if (HttpProtocol.IsHttp11(context.Request.Protocol) || HttpProtocol.IsHttp10(context.Request.Protocol))
            context.Response.Headers.Connection = "close";
    }

    /// <summary>What a status says that was set without a body.</summary>
    internal static string Describe(int status)
    {
        if (status >= 500) return "error";

        string phrase = ReasonPhrases.GetReasonPhrase(status);
        return phrase.Length == 0 ? "bad request" : phrase.ToLowerInvariant();
    }

    private static HttpResponse Head(HttpContext context, int status)
    {
        HttpResponse response = context.Response;
        response.StatusCode = status;
        response.ContentType = "application/json; charset=utf-8";
        response.Headers.XContentTypeOptions = "nosniff";
        response.Headers.CacheControl = "no-store";
        return response;
    }

    private static long Serialize<T>(IBufferWriter<byte> output, T body, Action<Utf8JsonWriter, T> write)
    {
        // Reset before and not after: whatever went wrong with the last reply, nothing of it is left.
        Utf8JsonWriter json = _writer ??= new Utf8JsonWriter(output, WriterOptions);
        json.Reset(output);
        write(json, body);
        json.Flush();
        return json.BytesCommitted;
    }
}
