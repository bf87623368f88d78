using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace UPool.Management;

/// <summary>
/// Puts the framework's own replies into the envelope: unknown routes and methods, malformed requests, exceptions. The
/// outermost middleware of Api and Silo.
/// </summary>
public sealed partial class EnvelopeMiddleware(
    RequestDelegate next, IHostApplicationLifetime lifetime, ILogger<EnvelopeMiddleware> logger)
{
    /// <summary>The logged status of a request whose client has disconnected; it is never sent.</summary>
    public const int ClientClosedRequest = 499;

    /// <summary>Answers the request.</summary>
    public async Task InvokeAsync(HttpContext context)
    {
        // A client that keeps its connection regardless of readiness (behind a Kubernetes Service, for example) opens
        // another with its next request, and loses none when connections close at the end of UPool:Shutdown:Delay.
        if (lifetime.ApplicationStopping.IsCancellationRequested) EnvelopeResponse.CloseAfter(context);

        try
        {
            await next(context);
        }
        catch (Exception) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client has disconnected: no reply, whatever failed.
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

    // A reply that has started cannot be replaced: the connection is aborted, so that the client does not take a part
    // for the whole.
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

    // The route template, never the path: a path holds values (INV-8).
    private static string RouteOf(HttpContext context) =>
        (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "(no route)";

    // Types and stack traces without messages: a driver's message may quote a value (INV-8).
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
