using System.Buffers;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;
using UPool.Management;

namespace UPool.Api.Http;

/// <summary>A JSON body as bytes, or the reason for refusing it. Dispose returns the buffer.</summary>
internal readonly struct RequestBody : IDisposable
{
    private const int FirstBuffer = 4 * 1024;

    private readonly byte[]? _buffer;
    private readonly int _length;

    private RequestBody(byte[] buffer, int length)
    {
        _buffer = buffer;
        _length = length;
    }

    private RequestBody(int status, string wrong)
    {
        Status = status;
        Wrong = wrong;
    }

    /// <summary>The status of the refusal; meaningless if <see cref="Wrong"/> is null.</summary>
    public int Status { get; }

    /// <summary>The problem; null if the body was read.</summary>
    public string? Wrong { get; }

    /// <summary>The body: valid UTF-8, at least one byte.</summary>
    public ReadOnlyMemory<byte> Utf8 => _buffer.AsMemory(0, _length);

    /// <summary>Reads the body of a request, at most <paramref name="maxBytes"/> and until the deadline.</summary>
    public static async Task<RequestBody> ReadAsync(
        HttpContext context, int maxBytes, Deadline deadline, TimeProvider clock)
    {
        HttpRequest request = context.Request;
        bool canHaveBody = context.Features.Get<IHttpRequestBodyDetectionFeature>() is not { CanHaveBody: false };
        if (!canHaveBody || request.ContentLength == 0)
            return new RequestBody(StatusCodes.Status400BadRequest, "the body is empty");

        // Before the first read, so that a client that waits for 100 Continue does not send the body.
        if (!IsJson(request))
        {
            return new RequestBody(
                StatusCodes.Status415UnsupportedMediaType, "Content-Type must be application/json in UTF-8");
        }

        if (request.ContentLength > maxBytes) return TooLarge();

        using var due = new CancellationTokenSource(deadline.Remaining(clock), clock);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(due.Token, context.RequestAborted);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(FirstBuffer);
        bool isKept = false;
        try
        {
            int length = 0;
            for (int read; ; length += read)
            {
                if (length == buffer.Length) buffer = Grow(buffer);

                read = await request.Body.ReadAsync(buffer.AsMemory(length), stop.Token);
                if (read == 0) break;
                if (length + read > maxBytes)
                {
                    EnvelopeResponse.CloseAfter(context);
                    return TooLarge();
                }
            }

            if (length == 0) return new RequestBody(StatusCodes.Status400BadRequest, "the body is empty");
            if (!System.Text.Unicode.Utf8.IsValid(buffer.AsSpan(0, length)))
                return new RequestBody(StatusCodes.Status400BadRequest, "the body is not UTF-8");

            isKept = true;
            return new RequestBody(buffer, length);
        }
        catch (OperationCanceledException)
            when (due.IsCancellationRequested && !context.RequestAborted.IsCancellationRequested)
        {
            EnvelopeResponse.CloseAfter(context);
            return new RequestBody(StatusCodes.Status408RequestTimeout, "the body did not arrive in time");
        }
        finally
        {
            if (!isKept) ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    public void Dispose()
    {
        if (_buffer is not null) ArrayPool<byte>.Shared.Return(_buffer);
    }

    private static RequestBody TooLarge() => new(StatusCodes.Status413PayloadTooLarge, "the body is too large");

    private static bool IsJson(HttpRequest request) =>
        request.Headers.ContentEncoding.Count == 0
        && MediaTypeHeaderValue.TryParse(request.ContentType, out MediaTypeHeaderValue? type)
        && (type.MediaType.Equals("application/json", StringComparison.OrdinalIgnoreCase)
            || (type.Type.Equals("application", StringComparison.OrdinalIgnoreCase)
                && type.Suffix.Equals("json", StringComparison.OrdinalIgnoreCase)))
        && (!type.Charset.HasValue || type.Charset.Value.Trim('"').Equals("utf-8", StringComparison.OrdinalIgnoreCase));

    private static byte[] Grow(byte[] buffer)
    {
        byte[] larger = ArrayPool<byte>.Shared.Rent(buffer.Length * 2);
        buffer.CopyTo(larger, 0);
        ArrayPool<byte>.Shared.Return(buffer);
        return larger;
    }
}
