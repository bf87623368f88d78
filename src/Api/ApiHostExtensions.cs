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
    // Loopback by number: "localhost" would open IPv6 beside it, and fail on machines without.
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

            // The request's own deadline bounds a slow body already, and in the envelope.
            limits.MinRequestBodyDataRate = null;
        });

        // A request goes on where its bytes arrived, and a reply is sent by whoever has it: three turns of the thread
        // pool less each. Not for code that blocks, hence the name; here no thread waits. Measured in turn with the
        // default, with shared reads: 3 to 8 % more replies at 8, 64 and 256 clients.
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

        // Without these two, other methods on them would be taken for /user/{id} and complain about the id.
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
