using UPool.Api;
using UPool.Cluster.Hosting;

// Settings stand beside the program, wherever it is started from.
WebApplicationBuilder builder = WebApplication.CreateBuilder(
    new WebApplicationOptions { Args = args, ContentRootPath = AppContext.BaseDirectory });
builder.AddUPoolApi();
if (builder.Configuration.GetValue("UPool:Api:HostSilo", true))
    builder.AddUPoolSilo();
else
    builder.AddUPoolClient();

WebApplication app = builder.Build();
app.UseUPoolApi();
return await app.RunUPoolAsync();
