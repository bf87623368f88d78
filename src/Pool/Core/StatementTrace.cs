using System.Data.Common;
using System.Diagnostics;

namespace UPool.Core;

/// <summary>
/// A span for each statement, under OpenTelemetry's conventions for databases. Without a listener it costs a field
/// read.
/// </summary>
/// <remarks>
/// The driver has spans of its own, which name the user and quote the server's messages, and those quote values
/// (INV-8). Hence these. A span covers a statement from its sending to its answer; reading the rows is not in it.
/// </remarks>
internal static class StatementTrace
{
    /// <summary>The source's name, for <c>AddSource</c>.</summary>
    public const string SourceName = "UPool";

    private static readonly ActivitySource Source = new(SourceName);

    /// <summary>Whether anybody listens.</summary>
    public static bool IsOn => Source.HasListeners();

    /// <summary>Begins the span of a statement; null when it is not wanted, or a listener throws.</summary>
    public static Activity? Start(ConnectionPool pool, DbConnection session, string text)
    {
        try
        {
            return StartUnguarded(pool, session, text);
        }
        catch (Exception)
        {
            return null;
        }
    }

    /// <summary>Ends the span. A listener that throws must not make a statement fail that has succeeded.</summary>
    public static void Stop(Activity span)
    {
        try
        {
            span.Dispose();
        }
        catch (Exception)
        {
            // Nobody is left to tell.
        }
    }

    private static Activity? StartUnguarded(ConnectionPool pool, DbConnection session, string text)
    {
        string operation = StatementText.Operation(text);
        string database = session.Database;
        Activity? span = Source.StartActivity($"{operation} {database}".Trim(), ActivityKind.Client);
        if (span is not { IsAllDataRequested: true }) return span;

        span.SetTag("db.system.name", pool.Connector.Dialect == SqlDialect.MySql ? "mysql" : "sqlite");
        span.SetTag("db.namespace", database);
        span.SetTag("db.operation.name", operation);
        span.SetTag("db.query.text", StatementText.WithoutValues(text));
        span.SetTag("db.client.connection.pool.name", pool.Options.Name);
        if (pool.Connector.Dialect == SqlDialect.MySql) span.SetTag("server.address", session.DataSource);
        return span;
    }

    /// <summary>Notes how a statement failed: its kind and the server's number, never the server's words.</summary>
    public static void Fail(Activity span, Exception exception)
    {
        span.SetStatus(ActivityStatusCode.Error);
        span.SetTag("error.type", exception.GetType().Name);
        if (exception is DbException { SqlState: { Length: > 0 } state }) span.SetTag("db.response.status_code", state);
    }
}
