using System.Data.Common;
using System.Diagnostics;

namespace UPool.Core;

/// <summary>
/// A span for each statement, under OpenTelemetry's conventions for databases. Without a listener it costs a field
/// read.
/// </summary>
/// <remarks>
/// The driver has its own spans, but they name the user and quote the server's messages, which quote values (INV-8). A
/// span covers a statement from its sending to its answer; reading the rows is not in it.
/// </remarks>
internal static class StatementTrace
{
    /// <summary>The source's name, for <c>AddSource</c>.</summary>
    public const string SourceName = "UPool";

    private static readonly ActivitySource Source = new(SourceName);

    /// <summary>Whether there is a listener.</summary>
    public static bool IsOn => Source.HasListeners();

    /// <summary>Begins the span of a statement; null when no listener wants it, or a listener throws.</summary>
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

    /// <summary>Ends the span. A listener that throws must not fail a statement that has succeeded.</summary>
    public static void Stop(Activity span)
    {
        try
        {
            span.Dispose();
        }
        catch (Exception)
        {
            // There is nowhere left to report it.
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

    /// <summary>Records a statement's failure: its kind and the server's number, never the server's message.</summary>
    public static void Fail(Activity span, Exception exception)
    {
        span.SetStatus(ActivityStatusCode.Error);
        span.SetTag("error.type", exception.GetType().Name);
        if (exception is DbException { SqlState: { Length: > 0 } state }) span.SetTag("db.response.status_code", state);
    }
}
