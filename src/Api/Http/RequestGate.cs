using System.Globalization;
using Microsoft.Extensions.Options;
using UPool.Hosting;
using UPool.Management;

namespace UPool.Api.Http;

/// <summary>
/// Every request of the application passes here. Bounds the requests in flight, refuses requests before the start, and
/// applies <see cref="HttpOptions.AlwaysReply200"/>. Health and management bypass it, so that both answer under any
/// load.
/// </summary>
internal sealed class RequestGate(RequestDelegate next, IOptions<HttpOptions> options, IProcessStatus status)
{
    private readonly HttpOptions _options = options.Value;
    private int _inFlight;

    public async Task InvokeAsync(HttpContext context)
    {
        if (ManagementAccess.IsManagement(context))
        {
            await next(context);
            return;
        }

        if (_options.AlwaysReply200)
        {
            // As the response starts, so that it covers every reply: of endpoints, of routing, after an exception.
            context.Response.OnStarting(static state =>
            {
                ((HttpResponse)state).StatusCode = StatusCodes.Status200OK;
                return Task.CompletedTask;
            }, context.Response);
        }

        // For every reply: the server does not read such a body to its end in order to keep the connection.
        if (context.Request.ContentLength > _options.MaxBodyBytes) EnvelopeResponse.CloseAfter(context);

        try
        {
            // Incremented before the comparison: two requests that arrive together must not both take the last place.
            if (Interlocked.Increment(ref _inFlight) > _options.MaxRequestsInFlight)
                await RefuseAsync(context, RefusalReason.QueueFull, "queue empty");
            else if (!status.IsStarted)
                await RefuseAsync(context, RefusalReason.Unavailable, "error");
            else
                await next(context);
        }
        finally
        {
            Interlocked.Decrement(ref _inFlight);
        }
    }

    private Task RefuseAsync(HttpContext context, RefusalReason reason, string message)
    {
        Refusals.WriteHeaders(context.Response, reason, _options.RetryAfter);
        return EnvelopeResponse.WriteAsync(context, StatusCodes.Status503ServiceUnavailable, message);
    }
}

/// <summary>The headers of a refusal.</summary>
internal static class Refusals
{
    public static void WriteHeaders(HttpResponse response, RefusalReason reason, TimeSpan retryAfter)
    {
        response.Headers[EnvelopeResponse.ReasonHeader] = reason.ToHeader();
        long seconds = (long)Math.Ceiling(retryAfter.TotalSeconds);
        response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
    }
}
