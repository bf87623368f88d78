using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Options;
using UPool.Api.Http;
using UPool.Api.OpenApi;
using UPool.Api.Users;
using UPool.Management;

namespace UPool.Api;

/// <summary>The HTTP front, without the cluster behind it.</summary>
internal static class ApiHostExtensions
{
    // Loopback by number: "localhost" would also bind IPv6 and fail on machines without it.
    private const string DefaultUrl = "http://127.0.0.1:5000";

    private static readonly string[] Get = [HttpMethods.Get, HttpMethods.Head];

    public static WebApplicationBuilder AddUPoolApi(this WebApplicationBuilder builder)
    {
        builder.AddUPoolManagement(DefaultUrl);
        IServiceCollection services = builder.Services;
        services.AddUPoolOptions<HttpOptions, HttpOptionsValidator>(HttpOptions.Section);
        services.AddOptions<KestrelServerOptions>().Configure<IOptions<HttpOptions>>(static (kestrel, http) =>
        {
            KestrelServerLimits limits = kestrel.Limits;
            limits.MaxRequestBodySize = http.Value.MaxBodyBytes;
            limits.MaxConcurrentConnections = http.Value.MaxClientConnections;
            limits.KeepAliveTimeout = http.Value.KeepAliveTimeout;
            limits.RequestHeadersTimeout = http.Value.HeadersTimeout;

            // The request's own deadline already bounds a slow body, with a reply in the envelope.
            limits.MinRequestBodyDataRate = null;
        });

        // A request continues on the thread that received its bytes, and the thread that completes a reply sends it:
        // three thread pool hops fewer each. "Unsafe" for code that blocks; no thread blocks here. Measured alternately
        // with the default, with shared reads: 3 to 8 % more replies at 8, 64 and 256 clients.
        services.Configure<SocketTransportOptions>(static sockets => sockets.UnsafePreferInlineScheduling = true);
        services.AddSingleton<IUsers, WorkerUsers>();
        services.AddSingleton<UserEndpoints>();
        services.AddUPoolOpenApi();
        return builder;
    }

    public static WebApplication UseUPoolApi(this WebApplication app)
    {
        app.UseUPoolManagement();
        app.UseMiddleware<RequestGate>();
        app.MapUPoolManagement();
        app.MapUPoolOpenApi();

        var users = app.Services.GetRequiredService<UserEndpoints>();
        app.MapMethods("/", Get, UserEndpoints.RootAsync).DescribeRoot();
        app.MapMethods("/user/list", Get, users.ListAsync).DescribeList();
        app.MapPost("/user", users.CreateAsync).DescribeCreate();
        app.MapPost("/user/batch", users.CreateBatchAsync).DescribeCreateBatch();
        app.MapMethods("/user/{id}", Get, users.GetAsync).DescribeGet();
        app.MapPut("/user/{id}", users.RenameAsync).DescribeRename();
        app.MapDelete("/user/{id}", users.DeleteAsync).DescribeDelete();

        // Without these two routes, other methods would match /user/{id} and be refused because of the id.
        app.Map("/user/list", static context => RefuseMethodAsync(context, "GET, HEAD")).ExcludeFromDescription();
        app.Map("/user/batch", static context => RefuseMethodAsync(context, "POST")).ExcludeFromDescription();
        return app;
    }

    private static Task RefuseMethodAsync(HttpContext context, string allow)
    {
        context.Response.Headers.Allow = allow;
        return EnvelopeResponse.WriteAsync(context, StatusCodes.Status405MethodNotAllowed, "method not allowed");
    }
}
