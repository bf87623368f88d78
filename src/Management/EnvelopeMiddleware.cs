using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace UPool.Management;

/// <summary>
/// Puts everything that the framework answers by itself into the envelope: unknown routes and methods, malformed
/// requests, exceptions. The outermost middleware of Api and Silo.
/// </summary>
public sealed partial class EnvelopeMiddleware(
    RequestDelegate next, IHostApplicationLifetime lifetime, ILogger<EnvelopeMiddleware> logger)
{
    /// <summary>The status in the log of a request whose client has gone; nobody is there to read it.</summary>
    public const int ClientClosedRequest = 499;

    /// <summary>Answers the request.</summary>
    public async Task InvokeAsync(HttpContext context)
    {
        // Who is kept by a connection rather than by readiness (a client behind a Service, say) moves on with its next
        // request, and loses none when connections are closed at the end of UPool:Shutdown:Delay.
        if (lifetime.ApplicationStopping.IsCancellationRequested) EnvelopeResponse.CloseAfter(context);

        try
        {
            await next(context);
        }
        catch (Exception) when (context.RequestAborted.IsCancellationRequested)
        {
            // Whatever broke, it broke for a client that is no longer there.
        }
        catch (BadHttpRequestException e)
        {
            if (!TryClear(context)) return;

            EnvelopeResponse.CloseAfter(context);
            string message = e.StatusCode == StatusCodes.Status413PayloadTooLarge
                ? "the body is too large"
                : EnvelopeResponse.Describe(e.StatusCode);
            await EnvelopeResponse.WriteAsync(context, e.StatusCode, message);
        }
        catch (Exception e)
        {
            LogFailed(context.Request.Method, RouteOf(context), Shape(e));
            if (!TryClear(context)) return;

            await EnvelopeResponse.WriteAsync(context, StatusCodes.Status500InternalServerError, "error");
        }

        RequestTrace.Name(context);
        HttpResponse response = context.Response;
        if (response.HasStarted) return;

        if (context.RequestAborted.IsCancellationRequested)
        {
            response.StatusCode = ClientClosedRequest;
            LogClientGone(context.Request.Method, RouteOf(context));
        }
        else if (response.StatusCode >= 400 && response.ContentLength is null && response.ContentType is null)
        {
            await EnvelopeResponse.WriteAsync(
                context, response.StatusCode, EnvelopeResponse.Describe(response.StatusCode));
        }
    }

    // A reply that is on its way cannot be taken back: the connection is cut, so that nobody takes half for whole.
    private static bool TryClear(HttpContext context)
    {
        if (context.Response.HasStarted)
        {
            context.Abort();
            return false;
        }

        bool closes = context.Response.Headers.Connection == "close";
        context.Response.Clear();
        if (closes) EnvelopeResponse.CloseAfter(context);
        return true;
    }

    // The route as it is written in the program, never the path: a path holds values (INV-8).
    private static string RouteOf(HttpContext context) =>
        (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "(no route)";

    // Types and places without the messages: a driver's message may quote a value (INV-8).
    private static string Shape(Exception exception)
    {
        var text = new StringBuilder();
        for (Exception? e = exception; e is not null; e = e.InnerException)
        {
            text.Append(text.Length == 0 ? "" : Environment.NewLine + " caused by ").Append(e.GetType().FullName);
            if (e.StackTrace is { } trace) text.Append(Environment.NewLine).Append(trace);
        }

        return text.ToString();
    }

    [LoggerMessage(1, LogLevel.Error, "500 {Method} {Route}: {Shape}")]
    private partial void LogFailed(string method, string route, string shape);

    [LoggerMessage(2, LogLevel.Information, "499 {Method} {Route}: the client went away; its call was cancelled")]
    private partial void LogClientGone(string method, string route);
}
