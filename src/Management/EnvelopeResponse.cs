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
    /// <summary>The header that names the reason of a refusal.</summary>
    public const string ReasonHeader = "UPool-Reason";

    private const string ContentType = "application/json; charset=utf-8";

    // The bodies come from serializers, whose nesting is correct by construction.
    private static readonly JsonWriterOptions WriterOptions = new()
    {
        Encoder = EnvelopeEncoder.Instance,
        SkipValidation = true,
    };

    // One per thread, never kept across an await.
    [ThreadStatic]
    private static Utf8JsonWriter? _writer;

    /// <summary>Replies with a message only; the code is 1 below status 400, else 0. An error goes as
    /// <c>application/problem+json</c> to a client that asks for it.</summary>
    public static Task WriteAsync(HttpContext context, int status, string message) =>
        status >= 400 && ProblemResponse.IsWanted(context.Request)
            ? ProblemResponse.WriteAsync(context, status, message)
            : WriteAsync(context, status, new Envelope(status < 400 ? 1 : 0, message), ManagementJson.Default.Envelope);

    /// <summary>Replies with a body; to HEAD with the same headers and no body.</summary>
    public static Task WriteAsync<T>(HttpContext context, int status, T body, JsonTypeInfo<T> type) =>
        WriteAsync(context, status, body, type, ContentType);

    /// <summary>Replies with a body that the caller writes.</summary>
    /// <param name="context">The request.</param>
    /// <param name="status">The status.</param>
    /// <param name="body">The body.</param>
    /// <param name="write">Writes the whole body as one JSON value.</param>
    public static Task WriteAsync<T>(HttpContext context, int status, T body, Action<Utf8JsonWriter, T> write) =>
        WriteAsync(context, status, body, write, ContentType);

    /// <summary>
    /// Replies with a body that is already UTF-8. Its length is known, so the headers go first and the body is copied
    /// once, into the send buffer; a body that is written before its headers is copied twice.
    /// </summary>
    /// <param name="context">The request.</param>
    /// <param name="status">The status.</param>
    /// <param name="body">The body.</param>
    /// <param name="length">Its exact length in bytes.</param>
    /// <param name="write">Writes the whole body as one JSON value.</param>
    public static async Task WriteAsync<T>(
        HttpContext context, int status, T body, long length, Action<IBufferWriter<byte>, T> write)
    {
        HttpResponse response = Head(context, status, ContentType);
        response.ContentLength = length;
        if (HttpMethods.IsHead(context.Request.Method)) return;

        await response.StartAsync(context.RequestAborted);
        PipeWriter output = response.BodyWriter;
        write(output, body);
        await output.FlushAsync(context.RequestAborted);
    }

    /// <summary>
    /// Announces that the connection closes after this reply. A client without that notice would lose its next request
    /// on the connection, for example when the rest of its present request is not read.
    /// </summary>
    public static void CloseAfter(HttpContext context)
    {
        // Later versions of HTTP end the stream instead and have no such header.
        if (HttpProtocol.IsHttp11(context.Request.Protocol) || HttpProtocol.IsHttp10(context.Request.Protocol))
            context.Response.Headers.Connection = "close";
    }

    /// <summary>Replies with a body of another media type than the envelope's.</summary>
    internal static Task WriteAsync<T>(
        HttpContext context, int status, T body, JsonTypeInfo<T> type, string contentType) =>
        WriteAsync(
            context, status, (body, type), static (json, it) => JsonSerializer.Serialize(json, it.body, it.type),
            contentType);

    /// <summary>The message for a status that was set without a body.</summary>
    internal static string Describe(int status)
    {
        if (status >= 500) return "error";

        string phrase = ReasonPhrases.GetReasonPhrase(status);
        return phrase.Length == 0 ? "bad request" : phrase.ToLowerInvariant();
    }

    private static async Task WriteAsync<T>(
        HttpContext context, int status, T body, Action<Utf8JsonWriter, T> write, string contentType)
    {
        HttpResponse response = Head(context, status, contentType);
        if (HttpMethods.IsHead(context.Request.Method))
        {
            response.ContentLength = Serialize(new ArrayBufferWriter<byte>(), body, write);
            return;
        }

        // The whole body is written before the first byte is sent: its length is known, and no reply is sent in part.
        // UPool:Http:MaxRows bounds it.
        PipeWriter output = response.BodyWriter;
        response.ContentLength = Serialize(output, body, write);
        await output.FlushAsync(context.RequestAborted);
    }

    private static HttpResponse Head(HttpContext context, int status, string contentType)
    {
        HttpResponse response = context.Response;
        response.StatusCode = status;
        response.ContentType = contentType;
        response.Headers.XContentTypeOptions = "nosniff";
        response.Headers.CacheControl = "no-store";
        return response;
    }

    private static long Serialize<T>(IBufferWriter<byte> output, T body, Action<Utf8JsonWriter, T> write)
    {
        // Reset before use, not after: the previous reply may have failed halfway.
        Utf8JsonWriter json = _writer ??= new Utf8JsonWriter(output, WriterOptions);
        json.Reset(output);
        write(json, body);
        json.Flush();
        return json.BytesCommitted;
    }
}
