using System.Net;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace UPool.Management;

/// <summary>
/// Restricts the management routes to operators. Checks paths rather than endpoint metadata, so that a route added
/// later under <c>/upool/</c> is guarded too.
/// </summary>
public sealed class ManagementAccess
{
    private static readonly PathString[] ManagementPaths = ["/upool", "/metrics"];
    private static readonly PathString HealthPath = "/health";

    // Headers by which proxies name their client, in addition to all that begin with X-Forwarded-.
    private static readonly string[] ProxyHeaders =
    [
        "Forwarded", "Via", "X-Real-IP", "X-Client-IP", "X-Cluster-Client-IP", "X-Envoy-External-Address",
        "X-Original-Forwarded-For", "CF-Connecting-IP", "Fastly-Client-IP", "True-Client-IP",
    ];

    private readonly RequestDelegate _next;
    private readonly int? _port;

    // Hashes are compared, so that the time taken reveals neither the key's length nor how much of it was right.
    private readonly byte[]? _keyHash;

    /// <summary>Creates the middleware.</summary>
    public ManagementAccess(RequestDelegate next, IOptions<ManagementOptions> options, ManagementPlace place)
    {
        _next = next;
        _port = place.Port;
        _keyHash = options.Value.Key is { } key ? SHA256.HashData(Encoding.UTF8.GetBytes(key)) : null;
    }

    /// <summary>Whether a request is for management or health rather than for the application.</summary>
    public static bool IsManagement(HttpContext context) =>
        IsGuarded(context.Request.Path) || context.Request.Path.StartsWithSegments(HealthPath);

    /// <summary>Answers the request, or passes it on.</summary>
    public Task InvokeAsync(HttpContext context)
    {
        bool guarded = IsGuarded(context.Request.Path);

        // A server without sockets (in memory) has no ports: its caller is this process.
        if (_port is { } port && context.Connection.LocalIpAddress is not null)
        {
            bool here = context.Connection.LocalPort == port;
            bool belongs = guarded ? here : !here || context.Request.Path.StartsWithSegments(HealthPath);
            if (!belongs) return Refuse(context, StatusCodes.Status404NotFound, "not found");
        }

        if (!guarded) return _next(context);

        if (_keyHash is null)
        {
            return IsFromThisMachine(context)
                ? _next(context)
                : Refuse(context, StatusCodes.Status403Forbidden, "callers on this machine only");
        }

        if (HasKey(context.Request)) return _next(context);

        context.Response.Headers.WWWAuthenticate = "Bearer";
        return Refuse(context, StatusCodes.Status401Unauthorized, "key required");
    }

    private static Task Refuse(HttpContext context, int status, string message)
    {
        // Routing has already chosen an endpoint, whose metadata would otherwise affect the reply's log and metrics.
        context.SetEndpoint(null);
        return EnvelopeResponse.WriteAsync(context, status, message);
    }

    private static bool IsGuarded(PathString path)
    {
        foreach (PathString guarded in ManagementPaths)
        {
            if (path.StartsWithSegments(guarded)) return true;
        }

        return false;
    }

    // Two other callers use loopback: a proxy on this machine, which names its client in a header, and a web page in a
    // browser here that has rebound its own name to 127.0.0.1, which sends that name as the host.
    private static bool IsFromThisMachine(HttpContext context)
    {
        if (context.Request.Headers.Keys.Any(IsOfAProxy)) return false;

        string host = context.Request.Host.Host;
        bool localName = host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
            || (IPAddress.TryParse(host, out IPAddress? named) && IPAddress.IsLoopback(named));

        // A server without sockets (in memory) has no addresses: its caller is this process.
        return localName && (context.Connection.RemoteIpAddress is not { } caller || IPAddress.IsLoopback(caller));
    }

    private static bool IsOfAProxy(string header) =>
        header.StartsWith("X-Forwarded-", StringComparison.OrdinalIgnoreCase)
        || ProxyHeaders.Contains(header, StringComparer.OrdinalIgnoreCase);

    private bool HasKey(HttpRequest request)
    {
        const string Scheme = "Bearer ";
        if (request.Headers.Authorization is not [{ } given]
            || !given.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
        {
            return false;
        }

        byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes(given[Scheme.Length..].Trim()));
        return CryptographicOperations.FixedTimeEquals(hash, _keyHash);
    }
}
