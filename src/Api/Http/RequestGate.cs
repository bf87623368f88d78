using System.Globalization;
using Microsoft.Extensions.Options;
using UPool.Hosting;
using UPool.Management;

namespace UPool.Api.Http;

/// <summary>
/// What every request of the application passes: the bound on requests in flight, the wait for the start, and the
/// original's statuses where they are wanted. Health and management go round it, so that both answer under any load.
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
            // At the last moment, so that it covers whatever came to answer: endpoints, routing, an exception.
            context.Response.OnStarting(static state =>
            {
                ((HttpResponse)state).StatusCode = StatusCodes.Status200OK;
                return Task.CompletedTask;
            }, context.Response);
        }

        // Whoever answers: the server does not read such a body to its end in order to keep the connection.
        if (context.Request.ContentLength > _options.MaxBodyBytes) EnvelopeResponse.CloseAfter(context);

        try
        {
            // Counted before it is compared: two that arrive together at the last place must not both take it.
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

/// <summary>How a refusal shows in the headers.</summary>
internal static class Refusals
{
    public const string ReasonHeader = "UPool-Reason";

    public static void WriteHeaders(HttpResponse response, RefusalReason reason, TimeSpan retryAfter)
    {
        response.Headers[ReasonHeader] = reason.ToHeader();
        long seconds = (long)Math.Ceiling(retryAfter.TotalSeconds);
        response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
    }
}
